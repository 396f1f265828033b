"""TaT in half precision at the largest group width of the recipes.

d = p * C: the p patches of a group are joined along the channels, and the attention's products and
the squared errors are sums over d.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine import Config
from mmrazor.registry import MODELS

from mmrazor_tat.models import HierarchicalTaTLoss

REPO = Path(__file__).parents[2]
DTYPES = [torch.float16, torch.bfloat16]
LARGEST = 6e4  # float16 ends at 65,504
# Of the gradients' norm; measured: 3e-4 and 2.4e-3.
TOLERANCE = {torch.float16: 1e-3, torch.bfloat16: 4e-3}


class Group(NamedTuple):
    width: int  # d, of the teacher's tokens
    patches: int  # p
    teacher: int  # C_t
    student: int  # C_s


@pytest.fixture(scope='module')
def widest() -> Group:
    """Of all recipes' patch-group views; ``tat-patch`` has the views of ``tat``."""
    found = []
    for path in sorted((REPO / 'configs/tat').glob('tat_deeplabv3*.py')):
        model = Config.fromfile(path).model
        teacher, student = (
            network.decode_head.channels for network in (model.teacher, model.architecture)
        )
        for view in model.distiller.distill_losses.loss_tat.views:
            if view.type == 'patch':
                p = view.grid[0] * view.grid[1] // view.groups
                found.append(Group(p * teacher, p, teacher, student))
    assert len(found) == 10
    return max(found)


def test_the_width(widest):
    """Four patches of 512 channels, with a student of 512 (MobileNetV2 on COCO-Stuff10k)."""
    assert widest == (2048, 4, 512, 512)


@functools.cache
def maps(channels: int, scale: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, channels, 8, 8, generator=generator)
    return (scale * x).clamp(-LARGEST, LARGEST)


def lean_or_plain(group: Group, **options):
    """A group of 16 positions and the recipes' anchor points."""
    views = [
        dict(type='patch', grid=(2, group.patches // 2), groups=1, weight=0.1),
        dict(type='anchor', kernel=4, weight=0.04),
    ]
    torch.manual_seed(0)
    loss = HierarchicalTaTLoss(group.student, group.teacher, views=views, **options)
    return loss, list(loss.parameters())


def composed(group: Group):
    torch.manual_seed(0)
    widths = dict(gamma=group.student, phi=group.student, theta=group.teacher)
    connectors = torch.nn.ModuleDict(
        {
            name: MODELS.build(
                dict(
                    type='mmrazor.TaTConnector',
                    in_channel=width,
                    out_channel=group.teacher,
                )
            )
            for name, width in widths.items()
        }
    )
    patch, anchor = (
        MODELS.build(dict(cfg, type=f'mmrazor.{cfg["type"]}'))
        for cfg in (
            dict(
                type='PatchGroupTaTLoss',
                grid=(2, group.patches // 2),
                groups=1,
                loss_weight=0.1,
            ),
            dict(type='AnchorPointTaTLoss', kernel=4, loss_weight=0.04),
        )
    )

    def loss(s, t):
        tokens = connectors.gamma(s), connectors.phi(s), connectors.theta(t), t
        return patch(*tokens) + anchor(*tokens)

    return loss, list(connectors.parameters())


FORMS = dict(
    lean=functools.partial(lean_or_plain, lean=True),
    plain=functools.partial(lean_or_plain, lean=False),
    without_projections=functools.partial(lean_or_plain, lean=True, projections=()),
    without_norm=functools.partial(lean_or_plain, lean=True, norm_cfg=None),
    composed=composed,
)


def differentiated(loss, s, t, parameters, loss_scale=1.0):
    """The loss, under autocast where the maps are in half precision, and unscaled gradients."""
    leaf = s.clone().requires_grad_()
    with torch.autocast('cpu', dtype=s.dtype, enabled=s.dtype != torch.float32):
        value = loss(leaf, t)
    gradients = torch.autograd.grad(value * loss_scale, [leaf, *parameters])
    return value.detach(), [x.float() / loss_scale for x in gradients]


@pytest.mark.parametrize('dtype', DTYPES, ids=lambda dtype: str(dtype)[6:])
@pytest.mark.parametrize('scale', [10.0, 1e3, 3e4])
@pytest.mark.parametrize('form', FORMS)
def test_finite_and_near_float32(widest, form, scale, dtype):
    s, t = (maps(c, scale, k).to(dtype) for k, c in enumerate((widest.student, widest.teacher)))
    loss, parameters = FORMS[form](widest)
    want, wanted = differentiated(loss, s.float(), t.float(), parameters)
    # A dynamic scale begins with 65,536 and backs off where a gradient is infinite.
    loss_scale = 65536.0 if dtype == torch.float16 else 1.0
    while True:
        value, gradients = differentiated(loss, s, t, parameters, loss_scale)
        if all(x.isfinite().all() for x in gradients) or loss_scale < 1:
            break
        loss_scale /= 2
    assert value.dtype == torch.float32 and value.isfinite()
    torch.testing.assert_close(value, want, rtol=1e-5, atol=0)
    for x, y in zip(gradients, wanted, strict=True):
        assert x.isfinite().all()
        assert (x - y).norm() <= TOLERANCE[dtype] * y.norm()
    assert wanted[0].norm() > 0


def test_a_sum_over_the_width_overflows_in_float16(widest):
    """What the losses avoid: the squares of a usual map, over d, are beyond 65,504."""
    x = maps(widest.teacher, 10.0, 1)[0, :, :2, :2].half().flatten()
    assert len(x) == widest.width
    assert x.square().sum().isinf() and x.float().square().sum().isfinite()
