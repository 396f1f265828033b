"""The registered losses: weight, views and settings; the maths is in test_functional.py."""

import pytest
import torch
from drawn import build
from drawn import maps as drawn

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
    return drawn(*[(2, 4, 8, 9)] * 4)


@pytest.mark.parametrize('cls', LOSSES)
@pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
def test_value_is_the_weighted_mse_of_the_view(cls, softmax_over, maps):
    options, view = LOSSES[cls]
    settings = dict(options, loss_weight=0.3, softmax_over=softmax_over, scale=0.5)
    loss = build(type=cls.__name__, **settings)(*(x.requires_grad_() for x in maps))
    key, value, query, target = (view(x) for x in maps)
    rows, columns = (query, key) if softmax_over == 'student' else (key, query)
    rebuilt = (0.5 * rows @ columns.mT).softmax(-1) @ value
    expected = 0.3 * ((rebuilt - target) ** 2).mean()
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)
    loss.backward()
    key, value, query, target = maps
    assert target.grad is None
    assert all(x.grad.abs().sum() > 0 for x in (key, value, query))


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
