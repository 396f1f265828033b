"""What holds for every loss of a recipe but TaT's; their values are in the other files."""

import math
from types import SimpleNamespace

import pytest
import torch
from drawn import build, maps, recipe

OURS = dict(
    PixelWiseKDLoss=dict(tau=3.0),
    ICKDLoss=dict(grid=(2, 2)),
    ReviewKDLoss=dict(),
    ScaledOFDLoss=dict(meant_for=(256, 33, 33)),
    SPLoss=dict(),
    PKTLoss=dict(),
    CCLoss=dict(),
    NSTLoss=dict(),
    RKDLoss=dict(),
    FSPLoss=dict(),
    SCKDLoss=dict(threshold=-1.0),
)
# Those that compare the images of a batch; all others are a mean over them.
OF_PAIRS = ('SPLoss', 'PKTLoss', 'CCLoss', 'RKDLoss')
MMRAZORS = ('at', 'cwd', 'fitnet')  # of the recipes' fragments


def call(name, s, t, weight=1.0):
    settings = recipe(name) if name in MMRAZORS else dict(OURS[name], type=name)
    loss = build(**dict(settings, loss_weight=weight))
    if name == 'ReviewKDLoss':
        return loss([s], [t])
    if name == 'FSPLoss':
        return loss([s, s[:, [1, 2, 0]]], [t, t[:, [1, 2, 0]]])
    if name == 'SCKDLoss':
        samples = [SimpleNamespace(gt_label=torch.tensor([k % 3])) for k in range(len(s))]
        return loss(s.mean((2, 3)), t.mean((2, 3)), samples)
    return loss(s, t)


@pytest.fixture
def pair():
    return maps((4, 3, 4, 4), (4, 3, 4, 4))


@pytest.mark.parametrize('name', [*OURS, *MMRAZORS])
class TestAll:
    def test_zero_for_equal_maps_and_positive_else_times_the_weight(self, name, pair):
        s, t = pair
        assert call(name, s, s.clone()) == pytest.approx(0, abs=1e-12)
        assert call(name, s, t) > 1e-4
        torch.testing.assert_close(call(name, s, t, weight=2.5), 2.5 * call(name, s, t))

    def test_a_mean_over_the_batch(self, name, pair):
        s, t = pair
        if name in OF_PAIRS:
            with pytest.raises(ValueError, match='at least two for each process'):
                call(name, s[:1], t[:1])
            return
        each = [call(name, s[k : k + 1], t[k : k + 1]) for k in range(4)]
        torch.testing.assert_close(call(name, s, t), sum(each) / 4)

    def test_gradients(self, name, pair):
        s, t = pair
        s.requires_grad_(), t.requires_grad_()
        assert torch.autograd.gradcheck(lambda s: call(name, s, t.detach()), s, fast_mode=True)
        call(name, s, t).backward()
        assert s.grad.abs().sum() > 0
        # MMRazor's let it pass, so the algorithm builds no graph: see the connectors' tests.
        assert (t.grad is None) == (name in OURS)


@pytest.mark.parametrize('name', OURS)
class TestOurs:
    """What MMRazor's losses do not promise."""

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_full_precision_under_autocast_and_for_half_inputs(self, name, pair, dtype):
        s, t = (x.to(dtype) for x in pair)
        if name == 'SCKDLoss':  # whose means are to be the same
            s, t = (x[..., :1, :1] for x in (s, t))
        with torch.autocast('cpu', torch.bfloat16):
            loss = call(name, s, t)
        assert loss.dtype == torch.float32
        expected = call(name, s.double(), t.double()).float()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-7)

    def test_in_any_layout(self, name, pair):
        s, t = pair
        strided = torch.cat([s, s], 3)[..., :4].to(memory_format=torch.channels_last)
        torch.testing.assert_close(call(name, strided, t), call(name, s, t))

    def test_maps_that_do_not_fit_are_named(self, name, pair):
        s, t = pair
        with pytest.raises(ValueError, match=r'has (4 images|shape \(4, 3).* has (3|\(3, 3)'):
            call(name, s, t[:3])

    def test_a_weight_out_of_range(self, name):
        for weight in (-1, math.nan, 'a', True):
            with pytest.raises(ValueError, match='loss_weight must be a finite number'):
                build(**dict(OURS[name], type=name, loss_weight=weight))
