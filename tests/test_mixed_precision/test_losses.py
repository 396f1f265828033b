"""Every loss of the recipes, with the connectors before it, in half precision under autocast.

Through the distiller, as in a training. What float32 gives for the same (rounded) maps is the
measure: the loss has to be finite and near it, and the gradients too, after a loss scale.
"""

import copy
import functools
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine import Config
from mmengine.structures import BaseDataElement
from mmrazor.registry import MODELS

from mmrazor_tat.models.distillers.records import in_full_precision

CONFIGS = Path(__file__).parents[2] / 'configs'
LARGEST = 6e4  # float16 ends at 65,504
DTYPES = [torch.float16, torch.bfloat16]
# Of TaT's loss, after the name of the method.
OPTIONS = dict(plain=dict(lean=False), raw=dict(projections=()), unnormed=dict(norm_cfg=None))


class Shape(NamedTuple):
    """Of a batch of maps, and of TaT's patch groups."""

    batch: int = 3
    channels: int = 16
    side: int = 16
    grid: tuple[int, int] = (4, 4)
    groups: int = 4


USUAL = Shape()
# The widest group of the recipes, see below: four patches of 512 channels.
WIDE = Shape(batch=1, channels=512, side=8, grid=(2, 2), groups=1)
SEGMENTATION = (
    *('tat', 'tat-plain', 'tat_composed'),
    *('kd', 'cwd', 'at', 'fitnet', 'ickd', 'ofd', 'review_kd'),
)
CLASSIFICATION = (
    *('tat', 'kd', 'at', 'fitnet', 'sp', 'cc', 'rkd', 'pkt', 'fsp', 'nst', 'crd', 'afd', 'sckd'),
    *('ickd', 'review_kd'),
)
METHODS = [
    *((f'segmentation/{method}', USUAL) for method in SEGMENTATION),
    *((f'classification/{method}', USUAL) for method in CLASSIFICATION),
    *((f'segmentation/tat{option}', WIDE) for option in ('', '-plain', '-raw', '-unnormed')),
]


@functools.cache
def method_of(name: str) -> Config:
    task, method = name.split('/')
    folder = CONFIGS / '_base_' / ('' if task == 'segmentation' else task) / 'methods'
    return Config.fromfile(folder / f'{method}.py').method.distiller


def names_of(record: dict) -> list[str]:
    names = record['recorder']
    return [names] if isinstance(names, str) else list(names)


def fit(loss: dict, shape: Shape, **options) -> None:
    """Grids and kernels for the maps, a memory of as many images as there are."""
    views = dict(grid=shape.grid, groups=shape.groups)
    if loss['type'] == 'HierarchicalTaTLoss':
        for view in loss.views:
            view.update(views if view.type == 'patch' else {})
        loss.update(dict(lean=True, kernel_size=1), **options)
    elif loss['type'] == 'PatchGroupTaTLoss':
        loss.update(views)
    elif loss['type'] == 'ContrastiveDistillLoss':
        loss.update(num_samples=8, num_negatives=16)


class Bench:
    """A method's distiller, and drawn maps for its recorders."""

    def __init__(self, method: str, shape: Shape = USUAL) -> None:
        torch.manual_seed(0)
        name, _, option = method.partition('-')
        cfg, width = copy.deepcopy(method_of(name)), shape.channels
        records = [r for of_loss in cfg.loss_forward_mappings.values() for r in of_loss.values()]
        read = {(name, r['from_student']) for r in records for name in names_of(r)}
        for side, from_student in (('student', True), ('teacher', False)):
            sources = sorted(name for name, of in read if of == from_student)
            recorders = {name: dict(type='ModuleOutputs', source=name) for name in sources}
            cfg[f'{side}_recorders'] = recorders
        for loss in cfg.distill_losses.values():
            fit(loss, shape, **OPTIONS.get(option, {}))
        for connector in cfg.get('connectors', {}).values():
            if connector['type'] == 'ReviewKDConnector':
                connector.mid_channel = width
        self.distiller = MODELS.build(cfg).train()
        for record in records:
            if record.get('connector'):
                connector = self.distiller.connectors[record['connector']]
                if hasattr(connector, 'margin'):
                    connector.margin = -torch.rand(width)
                else:
                    self.set_channels(connector, record, width)
        for name, of_loss in cfg.loss_forward_mappings.items():
            self.set_channels(self.distiller.distill_losses[name], [*of_loss.values()][0], width)
        self.maps = {key: self.drawn(key[0], method, shape) for key in sorted(read)}

    @staticmethod
    def set_channels(part, record: dict, width: int) -> None:
        if hasattr(part, 'set_channels'):
            one = isinstance(record['recorder'], str)
            widths = width if one else [width] * len(record['recorder'])
            part.set_channels(widths, widths)

    @staticmethod
    def drawn(name: str, method: str, shape: Shape):
        """A map; of the samples, what MMPretrain's head is given beside it."""
        if name == 'samples':
            return None, [
                BaseDataElement(gt_label=torch.tensor([k]), metainfo=dict(sample_idx=k))
                for k in range(shape.batch)
            ]
        size = [shape.side] * 2
        if name == 'logits' and method.startswith('classification'):
            size = []
        elif name == 'embedding':
            size = [1, 1]
        return torch.randn(shape.batch, shape.channels, *size)

    def run(self, scale: float, dtype, autocast: bool = True, loss_scale: float = 1.0):
        """Total loss; the unscaled gradients of the student's maps (of ``dtype``) and of weights.

        Without autocast the maps are rounded to ``dtype``, and float32 again.
        """
        distiller, leaves = copy.deepcopy(self.distiller), []
        for (name, from_student), x in self.maps.items():
            if isinstance(x, torch.Tensor):
                x = (x * scale).clamp(-LARGEST, LARGEST).to(dtype)
                x = (x if autocast else x.float()).requires_grad_(from_student)
                leaves += [x] if from_student else []
            distiller.recorder(name, from_student).data_buffer[:] = [x]
        torch.manual_seed(1)
        with torch.autocast('cpu', dtype=dtype, enabled=autocast):
            losses = distiller.compute_distill_losses()
        total = sum(value for name, value in losses.items() if 'loss' in name)
        inputs = [*leaves, *(p for p in distiller.parameters() if p.requires_grad)]
        gradients = torch.autograd.grad(
            total * loss_scale, inputs, allow_unused=True, materialize_grads=True
        )
        return total.detach(), [g.float() / loss_scale for g in gradients]

    def settled(self, scale: float, dtype):
        """Loss, gradients and loss scale as a dynamic scale has them after it has backed off."""
        loss_scale = 65536.0 if dtype == torch.float16 else 1.0
        while True:
            loss, gradients = self.run(scale, dtype, loss_scale=loss_scale)
            if all(x.isfinite().all() for x in gradients) or loss_scale < 1e-9:
                return loss, gradients, loss_scale
            loss_scale /= 2


# Of the gradients' norm, measured: 3.2e-4 in float16 and 2.6e-3 in bfloat16, the rounding of the
# gradient itself. KR's convolutions run in half precision: 6e-3 and 5e-2.
TOLERANCE = {torch.float16: 1e-3, torch.bfloat16: 4e-3}
TOLERANCE_OF_CONVOLUTIONS = {torch.float16: 2e-2, torch.bfloat16: 1e-1}


@pytest.mark.parametrize('method, shape', METHODS)
def test_finite_and_near_float32(method, shape):
    """Post-convolution activations, and maps up to the end of float16."""
    bench, has_convolutions = Bench(method, shape), 'review_kd' in method
    for dtype in DTYPES:
        # A convolution of maps near 65,504 overflows in float16, as any network would.
        for scale in (10.0, 1e3 if has_convolutions else 3e4):
            want, wanted = bench.run(scale, dtype, autocast=False)
            got, gradients, _ = bench.settled(scale, dtype)
            assert got.dtype == torch.float32 and got.isfinite()
            torch.testing.assert_close(got, want, rtol=1e-4, atol=0)
            limit = (TOLERANCE_OF_CONVOLUTIONS if has_convolutions else TOLERANCE)[dtype]
            for x, y in zip(gradients, wanted, strict=True):
                assert x.isfinite().all()
                assert (x - y).norm() <= limit * y.norm()
            assert any(y.norm() > 0 for y in wanted)


def test_the_widest_group_of_the_recipes():
    """d = p C: p patches are joined along the channels; products and errors are sums over d.

    Squares of a usual map, added up over d, are beyond 65,504.
    """
    fragments = (CONFIGS / '_base_/methods').glob('tat*.py')
    methods = [Config.fromfile(path).method.distiller for path in fragments]
    views = [v for m in methods for v in m.distill_losses.get('loss_tat', {}).get('views', [])]
    patches = max(v.grid[0] * v.grid[1] // v.groups for v in views if v.type == 'patch')
    recipe = 'tat_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_coco-stuff10k-512x512'
    model = Config.fromfile(CONFIGS / f'tat/{recipe}.py').model
    widths = [network.decode_head.channels for network in (model.architecture, model.teacher)]
    assert (patches, widths) == (4, [WIDE.channels] * 2)
    assert WIDE.grid[0] * WIDE.grid[1] // WIDE.groups == patches
    x = 10 * torch.randn(patches * WIDE.channels).half()
    assert x.square().sum().isinf() and x.float().square().sum().isfinite()


@pytest.mark.parametrize('loss', [dict(type='ATLoss'), dict(type='L2Loss', normalize=False)])
def test_mmrazor_s_losses_need_the_distiller_for_it(loss):
    """Alone they square and add up in float16, on which autocast on a CPU has no opinion."""
    x = (1e3 * torch.randn(2, 16, 16, 16)).half()
    loss = MODELS.build(dict(loss, _scope_='mmrazor'))
    with torch.autocast('cpu', dtype=torch.float16):
        assert not loss(x, 2 * x).isfinite()
        assert in_full_precision(loss, dict(s_feature=x, t_feature=2 * x)).isfinite()


def test_what_is_cast_and_what_is_not():
    """Half-precision maps, also in lists; neither other records nor double precision."""
    seen = {}

    def loss(**arguments):
        seen.update(arguments, autocast=torch.is_autocast_enabled('cpu'))
        return 0

    half, double, labels = torch.zeros(2).half(), torch.zeros(2).double(), torch.zeros(2).long()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        in_full_precision(loss, dict(a=half, b=[half, double], c=labels, d=['sample']))
    assert seen['a'].dtype == torch.float32
    assert [x.dtype for x in seen['b']] == [torch.float32, torch.float64]
    assert seen['c'] is labels and seen['d'] == ['sample'] and not seen['autocast']
    assert in_full_precision(lambda d: d, dict(d=['no map'])) == ['no map']


def test_a_loss_that_is_too_large_makes_the_scale_back_off():
    """FSP's gradient on maps of thousands is infinite at 65,536 times; TaT's is not."""
    fsp, tat = Bench('classification/fsp'), Bench('segmentation/tat')
    _, gradients = fsp.run(1e3, torch.float16, loss_scale=65536.0)
    assert not all(x.isfinite().all() for x in gradients)
    assert 1 <= fsp.settled(1e3, torch.float16)[2] < 65536
    assert tat.settled(3e4, torch.float16)[2] == 65536
