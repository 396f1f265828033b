"""Time and memory of the TaT loss, forward and backward, against the released code's computation.

    python benchmarks/lean_operator.py --cases r18 whole-64 --out benchmarks/operator_cpu

The methods of a case run in one process, in turns; memory is measured in a process of its own.
"""

import argparse
import functools
import itertools
import multiprocessing
import statistics
from pathlib import Path
from typing import Union
from unittest import mock

import measure
import torch
import torch.nn.functional as F
from torch.nn.attention.flex_attention import flex_attention

from mmrazor_tat.functional import scale_of
from mmrazor_tat.models import HierarchicalTaTLoss, PatchGroupTaTLoss
from mmrazor_tat.ops import attention

R18 = (
    dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
    dict(type='anchor', kernel=4, weight=0.04),
)
MOBILENET = (
    dict(type='patch', grid=(32, 32), groups=1024, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.05),
)
WHOLE = (dict(type='whole', weight=0.1),)
# views, side of both maps, channels of student and teacher, batch
CASES = {
    'r18': (R18, 128, 256, 256, 2),
    'r18-b16': (R18, 128, 256, 256, 16),
    'r18-patch': (R18[:1], 128, 256, 256, 2),
    'r18-anchor': (R18[1:], 128, 256, 256, 2),
    'mobilenet': (MOBILENET, 128, 256, 256, 2),
    'v3-r18': (R18, 64, 512, 512, 2),
    'v3-mobilenet': (MOBILENET, 64, 512, 512, 2),
    'v3-r18-mmseg': (R18, 64, 128, 512, 2),
    'r18-mmseg': (R18, 128, 128, 512, 2),
    'whole-32': (WHOLE, 32, 256, 256, 2),
    'whole-64': (WHOLE, 64, 256, 256, 2),
    'whole-128': (WHOLE, 128, 256, 256, 1),
    'whole-128-mmseg': (WHOLE, 128, 128, 512, 1),
}


def released(loss, s_feature, t_feature):
    """The authors' computation: an image at a time, patches by unfold, einsum, a stored softmax."""
    total = 0
    for s, t in zip(s_feature.split(1), t_feature.split(1)):
        for view in loss.views.values():
            maps = (loss.gamma(s), loss.phi(s), loss.theta(t), t)
            k, v, q, target = (_channels_first(view, x) for x in maps)
            rows, columns = (q, k) if loss.softmax_over == 'student' else (k, q)
            scale = scale_of(view.scale, rows.shape[1])
            logits = torch.einsum('gdi,gdj->gij', scale * rows, columns)
            rebuilt = torch.einsum('gij,gej->gei', torch.softmax(logits, dim=2), v)
            total = total + view.loss_weight * F.mse_loss(rebuilt, target)
    return total / len(s_feature)


def _channels_first(view, x):
    """The tokens of one map, (1, C, H, W) -> (g, p*C, N)."""
    if not isinstance(view, PatchGroupTaTLoss):
        return F.avg_pool2d(x, getattr(view, 'kernel', 1)).flatten(2)
    (n, m), channels = view.grid, x.shape[1]
    h, w = x.shape[2] // n, x.shape[3] // m
    patches = F.unfold(x[:, :, : n * h, : m * w], (h, w), stride=(h, w))  # (1, C*h*w, n*m)
    patches = patches.view(channels, h * w, view.groups, -1)  # (C, h*w, g, p)
    return patches.permute(2, 3, 0, 1).reshape(view.groups, -1, h * w)


def batched(loss, s_feature, t_feature, attention=None):
    """The same for the batch at once: matrix product, stored softmax, matrix product."""
    key, value, query = loss.gamma(s_feature), loss.phi(s_feature), loss.theta(t_feature)
    total = 0
    for view in loss.views.values():
        k, v, q, target = (view.tokens(x) for x in (key, value, query, t_feature))
        rows, columns = (q, k) if loss.softmax_over == 'student' else (k, q)
        rebuilt = (attention or stored)(rows, columns, v, scale_of(view.scale, rows.shape[-1]))
        total = total + view.loss_weight * F.mse_loss(rebuilt, target)
    return total


def stored(rows, columns, v, scale):
    return (scale * rows @ columns.mT).softmax(-1) @ v


def flex(rows, columns, v, scale):
    return flex_attention(rows, columns, v, scale=scale)


def sdpa(loss, s_feature, t_feature):
    """The package's reference: ``scaled_dot_product_attention`` for long sequences."""
    chosen, loss.lean = loss.lean, False
    try:
        return loss(s_feature, t_feature)
    finally:
        loss.lean = chosen


def ours(loss, s_feature, t_feature):
    return loss(s_feature, t_feature)


def unflushed(loss, s_feature, t_feature):
    """Ours as it was before weights that are next to nothing became zeros."""
    with mock.patch.object(attention, 'flush_tiny', lambda weights: weights):
        return loss(s_feature, t_feature)


METHODS = dict(
    released=released,
    batched=batched,
    sdpa=sdpa,
    compiled=torch.compile(batched, dynamic=False),
    flex=torch.compile(functools.partial(batched, attention=flex), dynamic=False),
    unflushed=unflushed,
    ours=ours,
)


def steps(case: str, scale: Union[float, str], args: argparse.Namespace) -> dict:
    """Forward and backward by each method, projections included."""
    views, side, s_channels, t_channels, batch = CASES[case]
    side, batch, dtype = args.side or side, args.batch or batch, getattr(torch, args.dtype)
    torch.manual_seed(0)
    loss = HierarchicalTaTLoss(
        s_channels, t_channels, views, softmax_over=args.softmax_over, scale=scale
    ).to(args.device)
    shape = (side, side)
    s = torch.randn(batch, s_channels, *shape, device=args.device).to(dtype).requires_grad_()
    t = torch.randn(batch, t_channels, *shape, device=args.device).to(dtype)

    def step(method):
        with torch.autocast(args.device.split(':')[0], dtype, enabled=dtype != torch.float32):
            value = METHODS[method](loss, s, t)
        value.backward()
        s.grad = None
        loss.zero_grad()
        return value.item()

    return {method: functools.partial(step, method) for method in args.methods}


def measured(case: str, scale: Union[float, str], args: argparse.Namespace) -> dict:
    runs, values = steps(case, scale, args), {}
    for method in list(runs):
        try:
            values[method] = runs[method]()
        except Exception as error:  # whatever a compiler says; FlexAttention trains on GPUs alone
            if method not in ('compiled', 'flex'):
                raise
            print(f'{case}: {method} does not apply: {str(error).splitlines()[0]}', flush=True)
            del runs[method]
    if max(values.values()) / min(values.values()) - 1 > 1e-3 * (1 + 9 * (args.dtype != 'float32')):
        raise RuntimeError(f'{case}: the methods disagree: {values}')
    seconds = measure.time_in_turns(runs, args.repeats)
    peaks = {}
    if args.device.startswith('cuda') and not args.no_memory:  # by the allocator: here
        peaks = {method: measure.peak_memory(run, args.device) for method, run in runs.items()}
    elif not args.no_memory:
        with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as fresh:
            peaks = {m: fresh.apply(peak_of, (case, scale, m, args)) for m in runs}
    ours = seconds.get('ours')
    return {
        method: dict(
            seconds=times,
            peak_bytes=peaks.get(method),
            over_ours=ours and statistics.median(a / b for a, b in zip(times, ours)),
        )
        for method, times in seconds.items()
    }


def peak_of(case: str, scale: Union[float, str], method: str, args: argparse.Namespace):
    small = argparse.Namespace(**{**vars(args), 'side': 64, 'batch': 1})
    steps(case, scale, small)[method]()  # libraries load
    return measure.peak_memory(steps(case, scale, args)[method], args.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES), metavar='CASE')
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    parser.add_argument('--softmax-over', choices=['teacher', 'student'], default='teacher')
    parser.add_argument(
        '--scales',
        nargs='+',
        type=lambda x: x if x == 'auto' else float(x),
        default=['auto', 1.0],
        help="of the logits; 1, the paper's, saturates the softmax",
    )
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', choices=['float32', 'bfloat16', 'float16'], default='float32')
    parser.add_argument('--side', type=int, help="of all maps, instead of the case's")
    parser.add_argument('--batch', type=int)
    parser.add_argument('--no-memory', action='store_true')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/operator'))
    args = parser.parse_args()
    result = dict(machine=measure.describe_machine(args.device), options=vars(args), cases={})
    rows = []
    for case, scale in itertools.product(args.cases, args.scales):
        name = f'{case}, scale {scale}'
        result['cases'][name] = measured(case, scale, args)
        for method, of in result['cases'][name].items():
            peak = '' if of['peak_bytes'] is None else f'{of["peak_bytes"] / measure.MIB:,.0f}'
            ratio = '' if of['over_ours'] is None else f'{of["over_ours"]:.2f}'
            milliseconds = f'{statistics.median(of["seconds"]) * 1e3:,.0f}'
            rows.append([name, method, milliseconds, ratio, peak])
            print(*rows[-1], sep='  ', flush=True)
        header = ['case', 'method', 'ms', 'time / ours', 'peak MiB']
        title = 'The TaT loss, forward and backward'
        measure.write_result(args.out, result, title, header, rows)  # what is done stays
    print(f'{args.out}.json, {args.out}.md')


if __name__ == '__main__':
    main()
