"""Time of a distillation step over its floor: the teacher's features and the plain student's step.

    python benchmarks/step.py --crop 512 --teachers folded as_it_is --out benchmarks/step_cpu

Real mmseg models with random weights on random images. All runs in one process, in turns; against
MMRazor's SingleTeacherDistill with the same losses. The floor of each has the teacher as that one
runs it.
"""

import argparse
import copy
import functools
import statistics
import tempfile
from pathlib import Path

import measure
import torch
from mmengine import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmrazor_tat

RECIPES = [
    f'tat/tat_deeplabv3plus_r101-d8_{student}_4xb4-40k_voc12aug-512x512.py'
    for student in ('r18-d8', 'mobilenet-v2-d8')
]
DTYPES = ('float32', 'tf32', 'bfloat16', 'float16')
# How the teacher of a step of ours is run.
TEACHERS = dict(
    folded={},
    as_it_is=dict(fold_teacher=False),
    channels_last=dict(teacher_channels_last=True),
    bfloat16=dict(teacher_dtype='bfloat16'),
    float16=dict(teacher_dtype='float16'),
    compiled=dict(teacher_compile=True),
    compiled_bfloat16=dict(teacher_compile=True, teacher_dtype='bfloat16'),
)


def build(config: dict) -> torch.nn.Module:
    config = copy.deepcopy(config)
    config.update(pretrained=None)
    return revert_sync_batchnorm(MODELS.build(config)).train()


def composed(distiller: dict, loss) -> dict:
    """MMRazor's own distiller with the views of ``loss``, one loss each behind three connectors."""
    (name,) = distiller.distill_losses
    options, records = distiller.distill_losses[name], distiller.loss_forward_mappings[name]
    connector = {k: options[k] for k in ('kernel_size', 'norm_cfg') if k in options}
    channels = dict(gamma=loss.in_channel, phi=loss.in_channel, theta=loss.out_channel)
    names = ('grid', 'groups', 'kernel', 'loss_weight', 'softmax_over', 'scale')
    return dict(
        _scope_='mmrazor',
        type='ConfigurableDistiller',
        student_recorders=distiller.student_recorders,
        teacher_recorders=distiller.teacher_recorders,
        connectors={
            k: dict(type='TaTConnector', in_channel=v, out_channel=loss.out_channel, **connector)
            for k, v in channels.items()
        },
        distill_losses={
            f'loss_{name}': dict(
                type=type(view).__name__,
                **{k: getattr(view, k) for k in names if hasattr(view, k)},
            )
            for name, view in loss.views.items()
        },
        loss_forward_mappings={
            f'loss_{name}': dict(
                s_key=dict(records.s_feature, connector='gamma'),
                s_value=dict(records.s_feature, connector='phi'),
                t_query=dict(records.t_feature, connector='theta'),
                t_feature=dict(records.t_feature),
            )
            for name in loss.views
        },
    )


def steps(recipe: dict, args: argparse.Namespace) -> dict:
    torch.manual_seed(0)
    crop = (args.crop, args.crop)
    dtype = getattr(torch, 'float32' if args.dtype == 'tf32' else args.dtype)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.dtype == 'tf32'
    memory_format = torch.channels_last if args.channels_last else torch.contiguous_format
    place = dict(device=args.device, memory_format=memory_format)
    inputs = torch.randn(args.batch, 3, *crop).to(**place)
    classes = recipe.architecture.decode_head.num_classes
    labels = torch.randint(0, classes, (args.batch, 1, *crop), device=args.device)
    meta = dict(img_shape=crop, ori_shape=crop)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta) for label in labels]
    teacher, student = (build(recipe[k]).to(**place) for k in ('teacher', 'architecture'))
    with torch.no_grad():  # statistics of these images: random weights would explode
        for norm in teacher.modules():
            if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
                norm.momentum = 1.0
        teacher(inputs, mode='tensor')

    def algorithm(kind, distiller, teacher, **options):
        config = dict(type=f'mmrazor.{kind}', teacher=teacher, **options)
        config.update(architecture=copy.deepcopy(student), distiller=copy.deepcopy(distiller))
        made = MODELS.build(config)
        return made.to(args.device)

    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/teacher.pth'
        torch.save(dict(state_dict=teacher.state_dict(), meta={}), path)
        loaded = dict(recipe.teacher, pretrained=None)
        fixed = dict(teacher_ckpt=path, probe_size=crop)
        made = {
            name: revert_sync_batchnorm(
                algorithm(
                    'FrozenTeacherDistill', recipe.distiller, loaded, **fixed, **TEACHERS[name]
                )
            )
            for name in args.teachers
        }
    ours = next(iter(made.values()))
    models = dict(student=student, **made)
    first, *others = ours.distiller.distill_losses.values()
    if hasattr(first, 'views') and not others:
        models['mmrazor'] = algorithm(
            'SingleTeacherDistill', composed(recipe.distiller, first), teacher
        )
    if args.compile:
        for model in (teacher, *(getattr(of, 'student', of) for of in models.values())):
            model.compile()
    autocast = functools.partial(
        torch.autocast, args.device.split(':')[0], dtype, enabled=dtype != torch.float32
    )

    def features():
        teacher.eval()
        with torch.no_grad(), autocast():
            teacher(inputs, samples, mode='tensor')

    def step(model, measures=False):
        model.train()
        model.measures_gradients = measures
        with autocast():
            total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        total.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=1e-6)
        model.zero_grad()

    def features_of(model):
        with autocast():
            model._run_teacher(inputs, samples)

    runs = {k: functools.partial(step, v) for k, v in models.items()}
    alone = {f'teacher {k}': functools.partial(features_of, v) for k, v in made.items()}
    # As GradientShareHook and GradientBalanceHook have it every 50th time.
    measured = functools.partial(step, ours, True)
    return {'teacher mmrazor': features, **alone, **runs, 'measured': measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='*', help='recipes; default: DeepLabV3+ on VOC')
    parser.add_argument('--crop', type=int, default=256)
    parser.add_argument('--batch', type=int, default=2, help='at least 2, for the batch norms')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', choices=DTYPES, default='float32')
    parser.add_argument('--teachers', nargs='+', choices=TEACHERS, default=['folded'])
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/step'))
    args = parser.parse_args()
    init_default_scope('mmseg')
    machine = measure.describe_machine(args.device)
    result, rows = dict(machine=machine, options=vars(args), recipes={}), []
    for config in args.configs or [mmrazor_tat.config_path(name) for name in RECIPES]:
        runs = steps(Config.fromfile(config).model, args)
        seconds = measure.time_in_turns(runs, args.repeats)
        floors = {
            kind: [a + b for a, b in zip(seconds[f'teacher {kind}'], seconds['student'])]
            for kind in ('mmrazor', *args.teachers)
            if kind in seconds
        }
        over = {
            kind: statistics.median(a / b for a, b in zip(seconds[kind], floor)) - 1
            for kind, floor in floors.items()
        }
        ratios = [a / b for a, b in zip(seconds['measured'], seconds[args.teachers[0]])]
        every_50th = (statistics.median(ratios) - 1) / 50
        result['recipes'][Path(config).stem] = dict(
            seconds=seconds, over_floor=over, gradients_every_50th=every_50th
        )
        for kind, more in over.items():
            step, whole = statistics.median(seconds[kind]), statistics.median(floors[kind])
            base = seconds.get('as_it_is', seconds[kind])
            ratio = statistics.median(a / b for a, b in zip(seconds[kind], base))
            of_ours = f'{every_50th:+.1%}' if kind == args.teachers[0] else ''
            rows.append([Path(config).stem, kind, f'{step:.2f}', f'{whole:.2f}', f'{more:+.1%}'])
            rows[-1] += [f'{ratio:.2f}' * ('as_it_is' in seconds), of_ours]
            print(*rows[-1], sep='  ', flush=True)
    header = ['recipe', "MMRazor's, or ours by its teacher", 's', 'floor, s', 'over the floor']
    header += ['s / as it is', 'gradients measured every 50th time, over ours']
    measure.write_result(args.out, result, 'A distillation step', header, rows)


if __name__ == '__main__':
    main()
