"""The registered losses: weight, views and settings; the maths is in test_functional.py."""

import pytest
import torch
from mmrazor.registry import MODELS

from mmrazor_tat import functional
from mmrazor_tat.models import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss

LOSSES = {
    TaTLoss: (dict(), functional.whole_map),
    PatchGroupTaTLoss: (
        dict(grid=(2, 2), groups=2),
        lambda x: functional.patch_groups(x, (2, 2), 2),
    ),
    AnchorPointTaTLoss: (dict(kernel=3), lambda x: functional.anchor_points(x, 3)),
}


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, 8, 9, generator=generator, dtype=torch.float64) for _ in range(4)]


@pytest.mark.parametrize('cls', LOSSES)
@pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
def test_value_is_the_weighted_mse_of_the_view(cls, softmax_over, maps):
    options, view = LOSSES[cls]
    loss = MODELS.build(
        dict(
            type=f'mmrazor.{cls.__name__}',
            loss_weight=0.3,
            softmax_over=softmax_over,
            scale=0.5,
            **options,
        )
    )
    key, value, query, target = (view(x) for x in maps)
    rows, columns = (query, key) if softmax_over == 'student' else (key, query)
    rebuilt = (0.5 * rows @ columns.mT).softmax(-1) @ value
    expected = 0.3 * ((rebuilt - target) ** 2).mean()
    torch.testing.assert_close(loss(*maps), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('cls', LOSSES)
def test_no_gradient_reaches_the_target(cls, maps):
    maps = [x.requires_grad_() for x in maps]
    cls(**LOSSES[cls][0])(*maps).backward()
    key, value, query, target = maps
    assert target.grad is None
    assert all(x.grad.abs().sum() > 0 for x in (key, value, query))


@pytest.mark.parametrize(
    'cls, options, message',
    [
        (TaTLoss, dict(loss_weight=-1), 'loss_weight must be .* at least 0, got -1'),
        (TaTLoss, dict(scale=float('nan')), 'scale must be a finite number'),
        (TaTLoss, dict(softmax_over='targets'), "softmax_over must be one of .* got 'targets'"),
        (PatchGroupTaTLoss, dict(grid=(4, 4), groups=3), 'groups must divide the 16 patches'),
        (PatchGroupTaTLoss, dict(grid='4x4', groups=2), 'grid must be two positive integers'),
        (AnchorPointTaTLoss, dict(kernel=2.5), 'kernel must be a positive integer, got 2.5'),
    ],
)
def test_settings_are_checked_when_built(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls(**options)


@pytest.mark.parametrize(
    'loss, text',
    [
        (PatchGroupTaTLoss(grid=(8, 9), groups=8), 'PatchGroupTaTLoss.grid=.8, 9.'),
        (AnchorPointTaTLoss(kernel=8), 'AnchorPointTaTLoss.kernel=8'),
    ],
)
def test_a_softmax_over_one_position_is_refused(loss, text, maps):
    with pytest.raises(ValueError, match=f'{text}.* leaves one position of a map of 8 x 9'):
        loss(*maps)


def test_settings_are_shown():
    text = repr(PatchGroupTaTLoss(grid=[4, 2], groups=4, loss_weight=0.1))
    assert "grid=(4, 2), groups=4, loss_weight=0.1, softmax_over='teacher', scale='auto'" in text
