"""Every loss of the recipes, with the connectors before it, in half precision under autocast.

Through the distiller, as in a training. What float32 gives for the same (rounded) maps is the
measure: the loss has to be finite and near it, and the gradients too, after a loss scale.
"""

import functools
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.structures import BaseDataElement
from mmrazor.registry import MODELS

from mmrazor_tat.models.distillers.records import in_full_precision

CONFIGS = Path(__file__).parents[2] / 'configs'
SEGMENTATION = (
    *('tat', 'tat-plain', 'tat_composed'),
    *('kd', 'cwd', 'at', 'fitnet', 'ickd', 'ofd', 'review_kd'),
)
CLASSIFICATION = (
    *('tat', 'kd', 'at', 'fitnet', 'sp', 'cc', 'rkd', 'pkt', 'fsp', 'nst', 'crd', 'afd', 'sckd'),
    *('ickd', 'review_kd'),
)
BATCH, CHANNELS, SIDE = 3, 16, 16
LARGEST = 6e4  # float16 ends at 65,504
DTYPES = [torch.float16, torch.bfloat16]


def method_of(name: str) -> dict:
    kind, name = name.removesuffix('-plain').split('/')
    if kind == 'segmentation':
        return Config.fromfile(CONFIGS / f'_base_/methods/{name}.py').method.distiller
    return Config.fromfile(CONFIGS / f'_base_/classification/methods/{name}.py').method.distiller


METHODS = [
    *(f'segmentation/{m}' for m in SEGMENTATION),
    *(f'classification/{m}' for m in CLASSIFICATION),
]


class Bench:
    """A method's distiller, whose recorders hold drawn maps."""

    def __init__(self, method: str, scale: float) -> None:
        torch.manual_seed(0)
        cfg = method_of(method)
        self.is_classifier = method.startswith('classification')
        names = {
            (name, record['from_student'])
            for records in cfg.loss_forward_mappings.values()
            for record in records.values()
            for name in self.names(record)
        }
        for side, from_student in (('student', True), ('teacher', False)):
            recorders = sorted(name for name, of in names if of == from_student)
            cfg[f'{side}_recorders'] = {
                name: dict(type='ModuleOutputs', source=name) for name in recorders
            }
        for loss in cfg.distill_losses.values():
            self.shrink(loss, lean=not method.endswith('-plain'))
        for connector in cfg.get('connectors', {}).values():
            if connector['type'] == 'ReviewKDConnector':
                levels = len(cfg.loss_forward_mappings.loss_review.s_features.recorder)
                connector.update(
                    in_channels=[CHANNELS] * levels,
                    out_channels=[CHANNELS] * levels,
                    mid_channel=16,
                )
            elif connector['type'] == 'TaTConnector':
                connector.update(in_channel=CHANNELS, out_channel=CHANNELS)
        self.distiller = MODELS.build(cfg)
        for connector in self.distiller.connectors.values():
            if hasattr(connector, 'margin'):
                connector.margin = -torch.rand(CHANNELS)
        for name, records in cfg.loss_forward_mappings.items():
            loss = self.distiller.distill_losses[name]
            if hasattr(loss, 'set_channels') and not loss.has_channels:
                record = next(iter(records.values()))
                many = not isinstance(record['recorder'], str)
                widths = [CHANNELS] * len(record['recorder']) if many else CHANNELS
                loss.set_channels(widths, widths)
        self.distiller.train()
        self.leaves = {}
        for name, from_student in sorted(names):
            self.leaves[name, from_student] = self.drawn(name, scale)

    @staticmethod
    def names(record: dict) -> list[str]:
        names = record['recorder']
        return [names] if isinstance(names, str) else list(names)

    @staticmethod
    def shrink(loss: dict, lean: bool) -> None:
        """Grids and kernels for maps of 16 x 16, a memory of as many images as there are."""
        if loss['type'] == 'HierarchicalTaTLoss':
            for view in loss.views:
                if view.type == 'patch':
                    view.update(grid=(4, 4), groups=4)
            loss.lean = lean
            if loss.get('kernel_size', 1) != 1:
                loss.kernel_size = 1 if lean else loss.kernel_size
        elif loss['type'] == 'PatchGroupTaTLoss':
            loss.update(grid=(4, 4), groups=4)
        elif loss['type'] == 'ContrastiveDistillLoss':
            loss.update(num_samples=8, num_negatives=16)

    def drawn(self, name: str, scale: float):
        if name == 'samples':
            return Samples()
        shape = (BATCH, CHANNELS, SIDE, SIDE)
        if name == 'embedding':
            shape = (BATCH, CHANNELS, 1, 1)
        elif name == 'logits' and self.is_classifier:
            shape = (BATCH, CHANNELS)
        return (torch.randn(shape) * scale).clamp(-LARGEST, LARGEST)

    def run(self, dtype: torch.dtype, autocast: bool, loss_scale: float = 1.0):
        """Total loss; the unscaled gradients of the student's maps (of ``dtype``) and of weights.

        A map in half precision is rounded from a float32 leaf, as autocast's convolutions do it.
        """
        leaves = {
            key: x if isinstance(x, Samples) else x.to(dtype).requires_grad_(key[1])
            for key, x in self.leaves.items()
        }
        for (name, from_student), x in leaves.items():
            record = x.record if isinstance(x, Samples) else x
            self.distiller.recorder(name, from_student).data_buffer[:] = [record]
        torch.manual_seed(1)
        with torch.autocast('cpu', dtype=dtype if autocast else torch.bfloat16, enabled=autocast):
            losses = self.distiller.compute_distill_losses()
        total = sum(value for name, value in losses.items() if 'loss' in name)
        weights = [p for p in self.distiller.parameters() if p.requires_grad]
        maps = [x for key, x in leaves.items() if key[1] and not isinstance(x, Samples)]
        gradients = torch.autograd.grad(
            total * loss_scale, [*maps, *weights], allow_unused=True, materialize_grads=True
        )
        return total.detach(), [g.float() / loss_scale for g in gradients]


class Samples:
    """What MMPretrain's head is given beside the maps: a record that no dtype changes."""

    def __init__(self) -> None:
        samples = [
            BaseDataElement(gt_label=torch.tensor([k]), metainfo=dict(sample_idx=k))
            for k in range(BATCH)
        ]
        self.record = (None, samples)


@functools.cache
def expected(method: str, scale: float, dtype: torch.dtype):
    """Of the same maps, rounded to ``dtype``, in float32."""
    bench = Bench(method, scale)
    bench.leaves = {
        key: x if isinstance(x, Samples) else x.to(dtype).float() for key, x in bench.leaves.items()
    }
    return bench.run(torch.float32, autocast=False)


def settled(method: str, scale: float, dtype: torch.dtype):
    """Loss, gradients and loss scale as a dynamic scale has them after it has backed off."""
    loss_scale = 65536.0 if dtype == torch.float16 else 1.0
    while True:
        loss, gradients = Bench(method, scale).run(dtype, autocast=True, loss_scale=loss_scale)
        if all(x.isfinite().all() for x in gradients) or loss_scale < 1e-9:
            return loss, gradients, loss_scale
        loss_scale /= 2


# Post-convolution activations; maps of thousands; and up to the end of float16.
SCALES = dict(usual=10.0, large=1e3, extreme=3e4)
# Of the gradients' norm, measured: 3.2e-4 in float16 and 2.6e-3 in bfloat16, the rounding of the
# gradient itself. KR's convolutions run in half precision: 6e-3 and 5e-2.
TOLERANCE = {torch.float16: 1e-3, torch.bfloat16: 4e-3}
TOLERANCE_OF_CONVOLUTIONS = {torch.float16: 2e-2, torch.bfloat16: 1e-1}


@pytest.mark.parametrize('dtype', DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize('scale', SCALES)
@pytest.mark.parametrize('method', METHODS)
def test_finite_and_near_float32(method, scale, dtype):
    has_convolutions = 'review_kd' in method
    if has_convolutions and scale == 'extreme' and dtype == torch.float16:
        pytest.skip('a convolution of maps near 65,504 overflows in float16, as any network would')
    want, wanted = expected(method, SCALES[scale], dtype)
    got, gradients, _ = settled(method, SCALES[scale], dtype)
    assert got.dtype == torch.float32 and got.isfinite()
    torch.testing.assert_close(got, want, rtol=1e-4, atol=0)
    limit = (TOLERANCE_OF_CONVOLUTIONS if has_convolutions else TOLERANCE)[dtype]
    for x, y in zip(gradients, wanted, strict=True):
        assert x.isfinite().all()
        assert (x - y).norm() <= limit * y.norm()
    assert any(y.norm() > 0 for y in wanted)


@pytest.mark.parametrize('loss', [dict(type='ATLoss'), dict(type='L2Loss', normalize=False)])
def test_mmrazor_s_losses_need_the_distiller_for_it(loss):
    """Alone they square and add up in float16, on which autocast on a CPU has no opinion."""
    x = (1e3 * torch.randn(2, CHANNELS, SIDE, SIDE)).half()
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
    _, gradients = Bench('classification/fsp', 1e3).run(torch.float16, True, loss_scale=65536.0)
    assert not all(x.isfinite().all() for x in gradients)
    assert 1 <= settled('classification/fsp', 1e3, torch.float16)[2] < 65536
    assert settled('segmentation/tat', 3e4, torch.float16)[2] == 65536
