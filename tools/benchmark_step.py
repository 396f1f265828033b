"""Time of a distillation step over its floor: the teacher's features and the plain student's step.

Real mmseg models with random weights on random images. In one process, in turns, medians; writes
OUT.json and OUT.md.
"""

import argparse
import copy
import functools
import statistics
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from mmengine import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from torch import nn

import mmrazor_tat
from mmrazor_tat import compat
from mmrazor_tat.benchmark.timing import measure as benchmark
from mmrazor_tat.models import HierarchicalTaTLoss
from mmrazor_tat.models.forward import input_channels

PROJECTIONS = ('gamma', 'phi', 'theta')
RECIPES = [
    f'tat/tat_deeplabv3plus_r101-d8_{student}_4xb4-40k_voc12aug-512x512.py'
    for student in ('r18-d8', 'mobilenet-v2-d8')
]
# Of overhead over the floor: patch groups + anchor points, batch 2, crop 512, float32, on a CPU.
MUST, REACH = 0.13, 0.10
TITLES = dict(
    teacher='teacher, features only',
    student='student, plain step',
    mmrazor="MMRazor's SingleTeacherDistill, the same losses",
    ours='FrozenTeacherDistill',
    operator='the TaT loss alone',
    composed='the same in its composed form',
)


class Mode(NamedTuple):
    """How a step is computed, as written: DTYPE[+channels_last][+compile]."""

    text: str

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.text.split('+')[0])

    @property
    def memory_format(self) -> torch.memory_format:
        last = 'channels_last' in self.text.split('+')
        return torch.channels_last if last else torch.contiguous_format

    @property
    def is_compiled(self) -> bool:
        return 'compile' in self.text.split('+')


def mode(text: str) -> Mode:
    dtype, *others = text.split('+')
    if dtype not in ('float32', 'bfloat16', 'float16') or set(others) - {
        'channels_last',
        'compile',
    }:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not float32, bfloat16 or float16, then +channels_last or +compile'
        )
    return Mode(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='*', help='recipes; default: DeepLabV3+ on VOC')
    parser.add_argument('--crop', type=int, default=256)
    parser.add_argument('--batch', type=int, default=2, help='at least 2, for the batch norms')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N')
    parser.add_argument(
        '--modes',
        nargs='+',
        type=mode,
        default=[Mode('float32')],
        metavar='MODE',
        help='float32, bfloat16 or float16 (autocast), with +channels_last and +compile',
    )
    parser.add_argument('--compile-backend', default='inductor')
    parser.add_argument('--no-memory', action='store_true', help='time only')
    parser.add_argument('--out', type=Path, help='default: work_dirs/benchmark/step_DEVICE')
    parser.add_argument('--measure', metavar='RUN', help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name, least in (('batch', 2), ('repeats', 1), ('crop', 64)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}, got {getattr(args, name)}')
    benchmark.select_device(parser, args.device)
    if args.device == 'cpu' and any(m.dtype == torch.float16 for m in args.modes):
        parser.error('--modes float16 needs a GPU: on a CPU take bfloat16')
    args.configs = args.configs or [mmrazor_tat.config_path(name) for name in RECIPES]
    args.out = args.out or Path(f'work_dirs/benchmark/step_{args.device.replace(":", "")}')
    return args


class Bench:
    """The runs of one recipe in one mode; the networks start from the same weights."""

    def __init__(self, config: str, mode: Mode, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.mode, self.device = mode, args.device
        cfg = Config.fromfile(config)
        self.crop = (args.crop, args.crop)
        self.recipe = cfg.model
        with torch.random.fork_rng():
            channels = input_channels(_build(self.recipe.architecture))
        self.inputs = self._move(torch.randn(args.batch, channels, *self.crop))
        classes = self.recipe.architecture.decode_head.num_classes
        self.samples = _labels(args.batch, self.crop, classes, self.device)
        self.teacher = self._move(_build(self.recipe.teacher))
        _calibrate(self.teacher, self.inputs)
        self.student = self._move(_build(self.recipe.architecture))
        distiller = self.recipe.distiller
        self.ours = self._algorithm(distiller, 'FrozenTeacherDistill', probe_size=self.crop)
        (self.loss_name, self.loss), *others = self.ours.distiller.distill_losses.items()
        if others or not isinstance(self.loss, HierarchicalTaTLoss):
            raise ValueError('distill_losses must be one HierarchicalTaTLoss, as in the recipes')
        if any(isinstance(getattr(self.loss, k), nn.Identity) for k in PROJECTIONS):
            raise ValueError('all three projections must be learnt, as in the recipes')
        composed = _composed_distiller(distiller, self.loss)
        self.mmrazor = self._algorithm(composed, 'SingleTeacherDistill')
        self._check_same_loss()
        if mode.is_compiled:
            for model in (self.teacher, self.student, self.ours.student, self.mmrazor.student):
                model.compile(backend=args.compile_backend)
        self.maps = self._maps()

    def _move(self, model):
        return model.to(device=self.device, memory_format=self.mode.memory_format)

    def _algorithm(self, distiller: dict, kind: str, **options) -> nn.Module:
        algorithm = MODELS.build(
            dict(
                type=f'mmrazor.{kind}',
                architecture=copy.deepcopy(self.student),
                teacher=self.teacher,
                distiller=copy.deepcopy(distiller),
                **options,
            )
        )
        algorithm.distiller.to(self.device)
        return algorithm

    def _check_same_loss(self) -> None:
        """Raise unless both algorithms compute the same distillation loss."""
        totals = []
        for name, connector in self.mmrazor.distiller.connectors.items():
            connector.load_state_dict(getattr(self.loss, name).state_dict())
        for model in (self.ours, self.mmrazor):
            model.train()
            with torch.no_grad(), self._autocast():
                losses = model(self.inputs, self.samples, mode='loss')
            totals.append(sum(v for k, v in losses.items() if k.startswith('distill.loss')).item())
        limit = 1e-3 if self.mode.dtype == torch.float32 else 5e-2
        if abs(totals[0] / totals[1] - 1) > limit:
            raise RuntimeError(f"ours and MMRazor's distillation losses differ: {totals}")

    def _maps(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the recorders saw last: the maps that the loss reads."""
        self.run('ours')
        names = self.ours.distiller.loss_forward_mappings[self.loss_name]
        return tuple(
            self.ours.distiller.get_record(**names[k]).detach() for k in ('s_feature', 't_feature')
        )

    def run(self, name: str) -> None:
        getattr(self, f'_run_{name}')()

    def _autocast(self) -> torch.autocast:
        kind = self.device.split(':')[0]
        return torch.autocast(kind, self.mode.dtype, enabled=self.mode.dtype != torch.float32)

    def _run_teacher(self) -> None:
        self.teacher.eval()
        with torch.no_grad(), self._autocast():
            self.teacher(self.inputs, self.samples, mode='tensor')

    def _run_student(self) -> None:
        self._step(self.student)

    def _run_mmrazor(self) -> None:
        self.mmrazor.train()  # its teacher's dropout on, as MMRazor has it
        self._step(self.mmrazor)

    def _run_ours(self) -> None:
        self.ours.train()
        self._step(self.ours)

    def _run_operator(self) -> None:
        s_feature, t_feature = self.maps
        with self._autocast():
            value = self.loss(s_feature.requires_grad_(), t_feature)
        value.backward()
        s_feature.grad = None
        self.loss.zero_grad()

    def _run_composed(self) -> None:
        chosen, self.loss.lean = self.loss.lean, False
        self._run_operator()
        self.loss.lean = chosen

    def _step(self, model: nn.Module) -> None:
        """Forward, backward, and what SGD does to the parameters."""
        with self._autocast():
            losses = model(self.inputs, self.samples, mode='loss')
            total, _ = model.parse_losses(losses)
        total.backward()
        parameters = [p for p in model.parameters() if p.grad is not None]
        with torch.no_grad():
            torch._foreach_add_(parameters, [p.grad for p in parameters], alpha=-1e-6)
        model.zero_grad()


def _build(config: dict) -> nn.Module:
    config = copy.deepcopy(config)
    config.update(pretrained=None)
    return revert_sync_batchnorm(MODELS.build(config)).train()


def _calibrate(model: nn.Module, inputs: torch.Tensor) -> None:
    """Give the batch norms of random weights the statistics of the images: no values explode."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(inputs, mode='tensor')
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.eval()


def _labels(batch: int, crop: tuple[int, int], classes: int, device: str) -> list:
    from mmseg.structures import SegDataSample

    return [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, classes, (1, *crop), device=device)),
            metainfo=dict(img_shape=crop, ori_shape=crop),
        )
        for _ in range(batch)
    ]


def _composed_distiller(distiller: dict, loss: HierarchicalTaTLoss) -> dict:
    """MMRazor's own distiller with the views of ``loss``, one loss each behind three connectors.

    Args:
        distiller: the recipe's, whose recorders and options are taken over.
        loss: made from it, with its channels.
    """
    (name,) = distiller.distill_losses
    options = distiller.distill_losses[name]
    connector = {k: options[k] for k in ('kernel_size', 'norm_cfg') if k in options}
    in_channels = dict(gamma=loss.in_channel, phi=loss.in_channel, theta=loss.out_channel)
    records = distiller.loss_forward_mappings[name]
    inputs = dict(
        s_key=dict(records.s_feature, connector='gamma'),
        s_value=dict(records.s_feature, connector='phi'),
        t_query=dict(records.t_feature, connector='theta'),
        t_feature=dict(records.t_feature),
    )
    return dict(
        _scope_='mmrazor',
        type='ConfigurableDistiller',
        student_recorders=distiller.student_recorders,
        teacher_recorders=distiller.teacher_recorders,
        connectors={
            k: dict(type='TaTConnector', in_channel=v, out_channel=loss.out_channel, **connector)
            for k, v in in_channels.items()
        },
        distill_losses={f'loss_{k}': _as_config(view) for k, view in loss.views.items()},
        loss_forward_mappings={f'loss_{k}': inputs for k in loss.views},
    )


def _as_config(view: nn.Module) -> dict:
    config = dict(type=type(view).__name__)
    names = ('grid', 'groups', 'kernel', 'loss_weight', 'softmax_over', 'scale')
    return {**config, **{k: getattr(view, k) for k in names if hasattr(view, k)}}


def run_recipe(config: str, mode: Mode, args: argparse.Namespace, matmul_rate: float) -> dict:
    bench = Bench(config, mode, args)
    runs = {name: functools.partial(bench.run, name) for name in TITLES}
    seconds = benchmark.time_in_turns(runs, args.repeats, args.device)
    floors = [a + b for a, b in zip(seconds['teacher'], seconds['student'])]
    products = benchmark.count_operations(runs['operator']) / matmul_rate
    result = dict(
        config=Path(config).stem,
        mode=mode.text,
        s_feature=list(bench.maps[0].shape),
        t_feature=list(bench.maps[1].shape),
        floor_seconds=statistics.median(floors),
        operator_over_floor=benchmark.paired_ratio(seconds['operator'], floors),
        composed_over_floor=benchmark.paired_ratio(seconds['composed'], floors),
        products_over_floor=products / statistics.median(floors),
        views=[type(view).__name__ for view in bench.loss.views.values()],
        is_lean=bench.loss.runs_lean(*bench.maps),
        runs={},
    )
    del bench, runs
    for name, times in seconds.items():
        result['runs'][name] = dict(
            seconds=times,
            median_seconds=statistics.median(times),
            over_floor=benchmark.paired_ratio(times, floors) - 1,
            peak_bytes=None if args.no_memory else _memory_of(name, config, mode, args),
        )
    return result


def _memory_of(name: str, config: str, mode: Mode, args: argparse.Namespace) -> Optional[float]:
    """Peak of one step above the models and the images, in a process of its own."""
    if name in ('operator', 'composed'):
        return None
    command = [config, '--measure', name, '--modes', mode.text]
    for option in ('crop', 'batch', 'device', 'compile_backend'):
        command += [f'--{option.replace("_", "-")}', str(getattr(args, option))]
    answer = benchmark.run_apart(__file__, *command)
    return None if answer == 'None' else float(answer)


def _measure(args: argparse.Namespace) -> None:
    bench = Bench(args.configs[0], args.modes[0], args)
    run = functools.partial(bench.run, args.measure)
    run()
    print(benchmark.peak_memory(run, args.device))


def as_text(result: dict) -> str:
    rows = []
    for recipe in result['recipes']:
        for name, of in recipe['runs'].items():
            peak = of['peak_bytes']
            is_step = name in ('mmrazor', 'ours')
            rows.append(
                [
                    recipe['config'],
                    recipe['mode'],
                    TITLES[name],
                    f'{of["median_seconds"] * 1e3:,.0f}',
                    f'{of["over_floor"]:+.1%}' if is_step else '',
                    '' if peak is None else f'{peak / benchmark.MIB:,.0f}',
                ]
            )
    where = []
    for recipe in result['recipes']:
        over = {k: recipe['runs'][k]['over_floor'] for k in ('ours', 'mmrazor')}
        shares = [
            over['ours'],
            recipe['operator_over_floor'],
            recipe['products_over_floor'],
            over['ours'] - recipe['operator_over_floor'],
            over['mmrazor'],
            recipe['composed_over_floor'],
            over['mmrazor'] - recipe['composed_over_floor'],
        ]
        numbers = [f'{share:+.1%}' for share in shares]
        form = 'lean' if recipe['is_lean'] else 'composed'
        where.append([recipe['config'], recipe['mode'], form, *numbers, holds(recipe, result)])
    crop = f'{result["crop"]} x {result["crop"]}'
    return '\n\n'.join(
        [
            f'# A distillation step on {benchmark.machine_line(result["machine"])}',
            f'Crop {crop}, batch {result["batch"]}, median of {result["repeats"]} runs in turns. '
            "Floor: the teacher's features without graph, then the plain student's step. Memory: "
            'peak of a step above models and images, measured in a process of its own.',
            benchmark.markdown_table(
                ['recipe', 'mode', 'what', 'ms', 'over the floor', 'MiB'], rows
            ),
            '## Where the overhead goes',
            'All in shares of the floor; the products: the matrix products of ours at the best '
            f'measured rate ({result["matmul_rate"] / 1e12:.3f} TFLOP/s).',
            benchmark.markdown_table(
                ['recipe', 'mode', 'form', 'ours', 'its TaT loss', "of that the loss's products"]
                + ['all else', "MMRazor's", 'its TaT loss', 'all else']
                + [f'target {MUST:.0%} / {REACH:.0%}'],
                where,
            ),
        ]
    )


def holds(recipe: dict, result: dict) -> str:
    """Whether the target is held; empty at a setting that it is not meant for."""
    setting = (result['crop'], result['batch'], recipe['mode'], 'gpu' in result['machine'])
    if setting != (512, 2, 'float32', False) or len(recipe['views']) != 2:
        return ''
    over = recipe['runs']['ours']['over_floor']
    return 'reach' if over <= REACH else 'must' if over <= MUST else 'no'


def main() -> None:
    args = parse_args()
    compat.silence_harmless_warnings()
    init_default_scope('mmseg')
    if args.measure:
        _measure(args)
        return
    result = dict(
        machine=benchmark.describe_machine(args.device),
        crop=args.crop,
        batch=args.batch,
        repeats=args.repeats,
        matmul_rate=benchmark.matmul_rate(args.device),
        recipes=[],
    )
    print(benchmark.machine_line(result['machine']), flush=True)
    for config in args.configs:
        for mode in args.modes:
            try:
                recipe = run_recipe(config, mode, args, result['matmul_rate'])
            except ValueError as error:  # what the probe of our algorithm finds, e.g. a small crop
                raise SystemExit(f'{config}: {error}') from error
            result['recipes'].append(recipe)
            over = recipe['runs']['ours']['over_floor']
            print(f'{recipe["config"]}, {mode.text}: {over:+.1%} over the floor', flush=True)
    text = as_text(result)
    benchmark.write_report(args.out, result, text)
    print(f'\n{text}\n\nWritten: {args.out}.json, {args.out}.md')


if __name__ == '__main__':
    main()
