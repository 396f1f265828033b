"""Time and memory of the TaT loss, forward and backward, against the released code's computation.

The methods of a case run in one process, in turns; medians over repeats. Writes OUT.json and
OUT.md; with --plot also the cost against the size of the map.
"""

import argparse
import functools
import json
import statistics
from pathlib import Path
from typing import NamedTuple, Optional

import operator_baselines as baselines
import torch

from mmrazor_tat import compat
from mmrazor_tat.benchmark.timing import measure as benchmark
from mmrazor_tat.models import HierarchicalTaTLoss

VOC_R18 = (
    dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
    dict(type='anchor', kernel=4, weight=0.04),
)
VOC_MOBILENET = (
    dict(type='patch', grid=(32, 32), groups=1024, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.05),
)
WHOLE = (dict(type='whole', weight=0.1),)


class Case(NamedTuple):
    title: str
    views: tuple[dict, ...]
    side: int  # of both maps
    s_channels: int
    t_channels: int
    batch: int = 2


CASES = {
    'r18': Case('VOC ResNet-18', VOC_R18, 128, 256, 256),
    'r18-b16': Case('VOC ResNet-18', VOC_R18, 128, 256, 256, 16),
    'r18-patch': Case('VOC ResNet-18, patch only', VOC_R18[:1], 128, 256, 256),
    'r18-anchor': Case('VOC ResNet-18, anchor only', VOC_R18[1:], 128, 256, 256),
    'mobilenet': Case('VOC MobileNetV2', VOC_MOBILENET, 128, 256, 256),
    'v3-r18': Case('VOC ResNet-18', VOC_R18, 64, 512, 512),
    'v3-mobilenet': Case('VOC MobileNetV2', VOC_MOBILENET, 64, 512, 512),
    'v3-r18-mmseg': Case("VOC ResNet-18, mmseg's widths", VOC_R18, 64, 128, 512),
    'r18-mmseg': Case("VOC ResNet-18, mmseg's widths", VOC_R18, 128, 128, 512),
    'whole-32': Case('whole map', WHOLE, 32, 256, 256),
    'whole-64': Case('whole map', WHOLE, 64, 256, 256),
    'whole-128': Case('whole map', WHOLE, 128, 256, 256, 1),
    'whole-128-mmseg': Case("whole map, mmseg's widths", WHOLE, 128, 128, 512, 1),
}
METHODS = {
    'loop': baselines.released_loop,
    'batched': baselines.batched,
    'sdpa': baselines.batched_sdpa,
    'compiled': baselines.compiled,
    'ours': lambda loss, s_feature, t_feature: loss(s_feature, t_feature),
}
TITLES = dict(
    loop='released (loop)',
    batched='batched',
    sdpa='batched, SDPA',
    compiled='batched, compiled',
    ours='ours',
)


class Target(NamedTuple):
    """A bound on baseline / ours, of time or of memory."""

    case: str
    quantity: str
    against: str
    must: float
    reach: float


CPU_TARGETS = [
    Target('r18', 'time', 'batched', 1.4, 1.7),
    Target('r18', 'time', 'loop', 1.1, 1.3),
    Target('r18-b16', 'time', 'batched', 2.0, 2.4),
    Target('r18-b16', 'memory', 'batched', 7, 10),
    Target('r18-b16', 'memory', 'loop', 10, 14),
    Target('r18-anchor', 'time', 'batched', 3.0, 3.5),
    Target('r18-anchor', 'time', 'loop', 2.0, 2.0),
    Target('mobilenet', 'time', 'batched', 1.25, 1.5),
    Target('mobilenet', 'memory', 'batched', 3, 3),
    Target('whole-128', 'time', 'batched', 1.15, 1.3),
    Target('whole-128', 'memory', 'batched', 20, 27),
    Target('whole-32', 'time', 'batched', 0.9, 1.0),
]
GPU_TARGETS = [
    *(Target(case, 'time', 'best', 1.0, 1.0) for case in CASES),
    Target('r18-b16', 'time', 'best', 1.3, 1.3),
    Target('whole-128', 'time', 'best', 1.3, 1.3),
    *(target for target in CPU_TARGETS if target.quantity == 'memory'),
]

HALF_PRECISION = (
    ' Maps and autocast are in half precision: loop, batched and compiled then compute their '
    'attention in it, SDPA and ours in float32; the floor is that of float32.'
)
SWEEP_SIDES = (32, 48, 64, 96, 128)
SWEEP = {
    'whole map, batched (stored softmax)': ('batched', WHOLE),
    'whole map, ours': ('ours', WHOLE),
    'patch groups + anchor points, batched': ('batched', VOC_R18),
    'patch groups + anchor points, ours': ('ours', VOC_R18),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES), metavar='CASE')
    parser.add_argument('--methods', nargs='+', choices=METHODS, metavar='METHOD')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N')
    parser.add_argument(
        '--dtype',
        choices=['float32', 'bfloat16', 'float16'],
        default='float32',
        help='of the maps and of autocast; the attention is float32 in any case',
    )
    parser.add_argument('--side', type=int, help='another side of the maps, e.g. for a trial')
    parser.add_argument('--batch', type=int, help='another batch')
    parser.add_argument('--no-memory', action='store_true', help='time only')
    parser.add_argument('--out', type=Path, help='default: work_dirs/benchmark/operator_DEVICE')
    parser.add_argument('--plot', type=Path, metavar='PNG', help='cost against the side of the map')
    # What the tool asks of itself in a process of its own.
    parser.add_argument('--time', metavar='CASE', help=argparse.SUPPRESS)
    parser.add_argument('--time-side', metavar='SIDE', type=int, help=argparse.SUPPRESS)
    parser.add_argument('--measure', nargs=2, metavar=('CASE', 'METHOD'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f'--repeats must be at least 1, got {args.repeats}')
    benchmark.select_device(parser, args.device)
    if args.plot and (args.side or args.batch or args.dtype != 'float32'):
        parser.error('--plot has sides, batch and dtype of its own: leave --side, --batch, --dtype')
    if args.methods is None:
        args.methods = [k for k in METHODS if k != 'compiled' or args.device != 'cpu']
    args.out = args.out or Path(f'work_dirs/benchmark/operator_{args.device.replace(":", "")}')
    return args


class Setting:
    """The loss and the maps of a case; the same for all methods."""

    def __init__(self, case: Case, device: str, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.device, self.dtype = device, dtype
        self.loss = HierarchicalTaTLoss(case.s_channels, case.t_channels, case.views).to(device)
        size = (case.side, case.side)
        self.s = torch.randn(case.batch, case.s_channels, *size, device=device).to(dtype)
        self.t = torch.randn(case.batch, case.t_channels, *size, device=device).to(dtype)
        self.s.requires_grad_()

    def step(self, method: str) -> torch.Tensor:
        """Forward and backward, projections included; the gradients are thrown away."""
        kind = self.device.split(':')[0]
        with torch.autocast(kind, self.dtype, enabled=self.dtype != torch.float32):
            value = METHODS[method](self.loss, self.s, self.t)
        value.backward()
        self.s.grad = None
        self.loss.zero_grad()
        return value.detach()


def resized(case: Case, args: argparse.Namespace) -> Case:
    return case._replace(side=args.side or case.side, batch=args.batch or case.batch)


def run_case(name: str, args: argparse.Namespace, rates: dict) -> dict:
    """One case in a process of its own: what an earlier one left in malloc's heap spares page
    faults, to a method that needs much memory above all.
    """
    result = json.loads(run_apart(args, '--time', name, '--methods', *args.methods))
    operations = {method: of['operations'] for method, of in result['methods'].items()}
    # What must be done: the products of ours; or read both maps and write one gradient.
    floor = None
    if 'ours' in operations:
        floor = max(operations['ours'] / rates['matmul'], result['bytes'] / rates['copy'])
    result['floor_seconds'] = floor
    for method, of in result['methods'].items():
        of['share_of_floor'] = None if floor is None else floor / of['median_seconds']
        of['peak_bytes'] = None if args.no_memory else memory_of(name, method, args)
    return result


def run_apart(args: argparse.Namespace, *command: str) -> str:
    """The last line that this tool prints with ``command``, in a process of its own."""
    options = ['--device', args.device, '--dtype', args.dtype, '--repeats', str(args.repeats)]
    for option in ('side', 'batch'):
        value = getattr(args, option)
        options += [f'--{option}', str(value)] if value else []
    return benchmark.run_apart(__file__, *command, *options)


def time_case(args: argparse.Namespace) -> dict:
    name, case = args.time, resized(CASES[args.time], args)
    setting = Setting(case, args.device, getattr(torch, args.dtype))
    steps = {method: functools.partial(setting.step, method) for method in args.methods}
    values, operations = {}, {}
    for method, step in steps.items():
        values[method], operations[method] = value_and_operations(step, method != 'compiled')
    if max(values.values()) / min(values.values()) - 1 > 1e-3:
        raise RuntimeError(f'{name}: the methods disagree: {values}')
    seconds = benchmark.time_in_turns(steps, args.repeats, args.device)
    elements = 2 * setting.s.numel() + setting.t.numel()
    is_lean = setting.loss.runs_lean(setting.s, setting.t)
    result = dict(case._asdict(), name=name, losses=values, is_lean=is_lean, methods={})
    result['bytes'] = elements * setting.s.element_size()
    for method, times in seconds.items():
        of = dict(seconds=times, median_seconds=statistics.median(times))
        of['operations'] = operations[method]
        if 'ours' in seconds:
            of['time_over_ours'] = benchmark.paired_ratio(times, seconds['ours'])
        result['methods'][method] = of
    return result


def value_and_operations(step: benchmark.Run, counted: bool) -> tuple[float, Optional[int]]:
    """The loss, and the operations of a step where they can be counted."""
    values = []

    def run() -> None:
        values.append(step().item())

    operations = benchmark.count_operations(run) if counted else run()
    return values[0], operations


def memory_of(name: str, method: str, args: argparse.Namespace) -> Optional[float]:
    """Peak above the inputs; name is a case or a point of the plot."""
    answer = run_apart(args, '--measure', name, method)
    return None if answer == 'None' else float(answer)


def measure(args: argparse.Namespace) -> Optional[float]:
    name, method = args.measure
    case = resized(CASES[name], args) if name in CASES else sweep_case(name)
    dtype = getattr(torch, args.dtype)
    Setting(case._replace(side=64, batch=1), args.device, dtype).step(method)  # libraries load
    setting = Setting(case, args.device, dtype)
    return benchmark.peak_memory(functools.partial(setting.step, method), args.device)


def sweep_case(name: str) -> Case:
    """The case of a point of the plot: its line, and the side of the map as '@SIDE'."""
    line, side = name.split('@')
    return Case(line, SWEEP[line][1], int(side), 256, 256, 1)


def run_sweep(args: argparse.Namespace) -> list[dict]:
    points = []
    for side in SWEEP_SIDES:
        medians = json.loads(run_apart(args, '--time-side', str(side)))
        for line, seconds in medians.items():
            peak = None if args.no_memory else memory_of(f'{line}@{side}', SWEEP[line][0], args)
            points.append(dict(line=line, side=side, median_seconds=seconds, peak_bytes=peak))
            print(f'{line}, {side} x {side}: {seconds * 1e3:.0f} ms', flush=True)
    return points


def time_side(args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of every line of the plot at one side of the map."""
    runs = {}
    for line, (method, _) in SWEEP.items():
        setting = Setting(sweep_case(f'{line}@{args.time_side}'), args.device, torch.float32)
        runs[line] = functools.partial(setting.step, method)
    seconds = benchmark.time_in_turns(runs, args.repeats, args.device)
    return {line: statistics.median(times) for line, times in seconds.items()}


def draw_sweep(points: list[dict], machine: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout='constrained')
    styles = dict(zip(SWEEP, ('o--C3', 'o-C0', 's--C1', 's-C2')))
    quantities = (
        ('median_seconds', 1e-3, 'time (ms)'),
        ('peak_bytes', benchmark.MIB, 'peak memory (MiB)'),
    )
    for axis, (key, unit, title) in zip(axes, quantities):
        for line, style in styles.items():
            known = [p for p in points if p['line'] == line and p[key] is not None]
            axis.plot([p['side'] for p in known], [p[key] / unit for p in known], style, label=line)
        axis.set(xscale='log', yscale='log', xlabel='side of the map (positions)', title=title)
        axis.set_xticks(SWEEP_SIDES, [str(side) for side in SWEEP_SIDES])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle(
        'One TaT loss, forward and backward: 1 image, 256 channels, float32\n'
        + benchmark.machine_line(machine),
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def check_targets(cases: list[dict], device: str) -> list[dict]:
    """Every target whose figures were measured, and whether it holds."""
    by_name = {case['name']: case['methods'] for case in cases}
    checked = []
    for target in CPU_TARGETS if device == 'cpu' else GPU_TARGETS:
        methods = by_name.get(target.case, {})
        rivals = [k for k in methods if k != 'ours' and target.against in (k, 'best')]
        if target.against == 'best':
            rivals = [k for k in rivals if k != 'loop']
        key = 'median_seconds' if target.quantity == 'time' else 'peak_bytes'
        if 'ours' not in methods or not rivals or methods['ours'][key] is None:
            continue
        if target.quantity == 'time':
            ratio = min(methods[k]['time_over_ours'] for k in rivals)
        else:
            ratio = min(methods[k][key] for k in rivals) / methods['ours'][key]
        checked.append(
            dict(
                target._asdict(),
                measured=ratio,
                holds='reach'
                if ratio >= target.reach
                else 'must'
                if ratio >= target.must
                else 'no',
            )
        )
    return checked


def as_text(result: dict) -> str:
    rows = []
    for case in result['cases']:
        for method, of in case['methods'].items():
            size = f'{case["side"]} x {case["side"]}, {case["s_channels"]}'
            if case['t_channels'] != case['s_channels']:
                size += f' -> {case["t_channels"]}'
            operations, peak = of['operations'], of['peak_bytes']
            rows.append(
                [
                    f'{case["title"]}: {size}, batch {case["batch"]}',
                    TITLES[method]
                    + (' (composed)' if method == 'ours' and not case['is_lean'] else ''),
                    f'{of["median_seconds"] * 1e3:,.0f}',
                    f'{of["time_over_ours"]:.2f}' if 'time_over_ours' in of else '',
                    '' if peak is None else f'{peak / benchmark.MIB:,.0f}',
                    '' if operations is None else f'{operations / of["median_seconds"] / 1e12:.3f}',
                    '' if of['share_of_floor'] is None else f'{of["share_of_floor"]:.0%}',
                ]
            )
    rates = result['rates']
    text = [
        f'# The TaT operator on {benchmark.machine_line(result["machine"])}',
        f'Forward and backward, projections included; {result["dtype"]}, median of '
        f'{result["repeats"]} runs in turns. Ratio: time of the method / time of ours, the median '
        'over the rounds. Memory: peak above the inputs, measured in a process of its own. Floor: '
        'the matrix products of ours at the best measured rate '
        f'({rates["matmul"] / 1e12:.3f} TFLOP/s), or reading both maps and writing a gradient at '
        f'{rates["copy"] / 1e9:.0f} GB/s, whichever takes longer. "composed": the map is too small '
        'for the lean operator to pay, and ours is the reference.'
        + ('' if result['dtype'] == 'float32' else HALF_PRECISION),
        benchmark.markdown_table(
            ['case', 'method', 'ms', 'ratio', 'MiB', 'TFLOP/s', 'share of the floor'], rows
        ),
    ]
    if result['targets']:
        text += [
            '## Targets',
            benchmark.markdown_table(
                ['case', 'quantity', 'against', 'must', 'reach for', 'measured', 'holds'],
                [
                    [t['case'], t['quantity'], t['against'], t['must'], t['reach']]
                    + [f'{t["measured"]:.2f}', t['holds']]
                    for t in result['targets']
                ],
            ),
        ]
    return '\n\n'.join(text)


def main() -> None:
    args = parse_args()
    compat.silence_harmless_warnings()
    if args.time:
        print(json.dumps(time_case(args)))
        return
    if args.time_side:
        print(json.dumps(time_side(args)))
        return
    if args.measure:
        print(measure(args))
        return
    machine = benchmark.describe_machine(args.device)
    rates = dict(matmul=benchmark.matmul_rate(args.device), copy=benchmark.copy_rate(args.device))
    print(benchmark.machine_line(machine), flush=True)
    result = dict(
        machine=machine, dtype=args.dtype, repeats=args.repeats, rates=rates, cases=[], targets=[]
    )
    for name in args.cases:
        result['cases'].append(run_case(name, args, rates))
        of = result['cases'][-1]['methods']
        line = ', '.join(f'{TITLES[k]} {v["median_seconds"] * 1e3:,.0f} ms' for k, v in of.items())
        print(f'{name}: {line}', flush=True)
        benchmark.write_report(args.out, result, as_text(result))  # what is done stays
    if args.side is None and args.batch is None:
        result['targets'] = check_targets(result['cases'], args.device)
    if args.plot:
        result['sweep'] = run_sweep(args)
        draw_sweep(result['sweep'], machine, args.plot)
    text = as_text(result)
    benchmark.write_report(args.out, result, text)
    print(f'\n{text}\n\nWritten: {args.out}.json, {args.out}.md')


if __name__ == '__main__':
    main()
