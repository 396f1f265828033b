"""Rivals' losses, ours and MMRazor's: hand-worked values, independent formulas, gradients."""

import math

import pytest
import torch
from mmrazor.registry import MODELS

from mmrazor_tat.models import ICKDLoss, PixelWiseKDLoss, ReviewKDLoss


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def maps(*shape, dtype=torch.float64, seed=0, count=2):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, dtype=dtype, generator=generator) for _ in range(count)]


@pytest.fixture(
    params=[
        (PixelWiseKDLoss, dict(tau=3.0)),
        (ICKDLoss, dict(grid=(2, 2))),
        (ReviewKDLoss, dict()),
    ],
    ids=lambda param: param[0].__name__,
)
def call(request):
    """A loss as a function of two maps and its weight."""
    kind, options = request.param

    def call(s, t, weight=1.0):
        loss = kind(loss_weight=weight, **options)
        return loss([s], [t]) if kind is ReviewKDLoss else loss(s, t)

    return call


class TestAll:
    def test_zero_for_equal_maps_and_positive_else(self, call):
        s, t = maps(2, 3, 8, 8)
        assert call(s, s.clone()) == pytest.approx(0, abs=1e-12)
        assert call(s, t) > 0.01

    def test_the_weight_is_applied_once(self, call):
        s, t = maps(2, 3, 8, 8)
        torch.testing.assert_close(call(s, t, weight=2.5), 2.5 * call(s, t))

    def test_a_mean_over_the_batch(self, call):
        s, t = maps(2, 3, 8, 8)
        each = [call(s[k : k + 1], t[k : k + 1]) for k in range(2)]
        torch.testing.assert_close(call(s, t), sum(each) / 2)

    def test_gradients(self, call):
        s, t = maps(2, 3, 6, 6)
        assert torch.autograd.gradcheck(lambda s: call(s, t), s.requires_grad_())

    def test_no_gradient_for_the_teacher(self, call):
        s, t = maps(2, 3, 8, 8)
        s.requires_grad_(), t.requires_grad_()
        call(s, t).backward()
        assert s.grad.abs().sum() > 0 and t.grad is None

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_full_precision_under_autocast_and_for_half_inputs(self, call, dtype):
        s, t = maps(2, 3, 8, 8, dtype=torch.float32)
        s, t = s.to(dtype), t.to(dtype)
        with torch.autocast('cpu', torch.bfloat16):
            loss = call(s, t)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, call(s.double(), t.double()).float(), rtol=1e-5, atol=1e-7)

    def test_non_contiguous_and_channels_last(self, call):
        s, t = maps(2, 3, 8, 8)
        expected = call(s, t)
        channels_last = s.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(call(channels_last, t), expected)
        strided = torch.cat([s, s], 3)[..., :8]
        torch.testing.assert_close(call(strided, t), expected)

    def test_maps_of_another_shape_are_named(self, call):
        s, t = maps(2, 3, 8, 8)
        with pytest.raises(ValueError, match=r'shape \(2, 3, 8, 8\), .* \(2, 3, 4, 8\)'):
            call(s, t[:, :, :4])

    @pytest.mark.parametrize('kind', [PixelWiseKDLoss, ICKDLoss, ReviewKDLoss])
    @pytest.mark.parametrize('weight', [-1, math.nan, 'a', True])
    def test_a_weight_out_of_range(self, kind, weight):
        with pytest.raises(ValueError, match='loss_weight must be a finite number'):
            kind(loss_weight=weight)


class TestPixelWiseKD:
    def test_by_hand(self):
        """Two pixels: (3/4, 1/4) against (1/2, 1/2), and equal ones."""
        t = torch.log(torch.tensor([[3.0, 1.0], [1.0, 1.0]])).T.reshape(1, 2, 1, 2)
        s = torch.zeros(1, 2, 1, 2)
        kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        assert PixelWiseKDLoss()(s, t).item() == pytest.approx(kl / 2, rel=1e-6)

    def test_the_temperature(self):
        """tau divides the logits and multiplies the loss by its square."""
        s, t = maps(2, 3, 4, 5)
        cool = PixelWiseKDLoss(tau=1.0)(s / 4, t / 4)
        torch.testing.assert_close(PixelWiseKDLoss(tau=4.0)(s, t), 16 * cool)

    def test_against_torch_distributions(self):
        s, t = maps(2, 5, 3, 4)
        p, q = (torch.distributions.Categorical(logits=x.permute(0, 2, 3, 1) / 2) for x in (t, s))
        expected = 4 * torch.distributions.kl_divergence(p, q).mean()
        torch.testing.assert_close(PixelWiseKDLoss(tau=2.0)(s, t), expected)

    def test_does_not_depend_on_the_size_as_mmrazor_s_does(self):
        """Why MMRazor's KLDivergence is not used: neither of its means is one over pixels."""
        s, t = maps(2, 5, 4, 4)
        larger = [torch.cat([x, x], 3) for x in (s, t)]
        ours, batch, every = (
            build(**cfg)
            for cfg in (
                dict(type='PixelWiseKDLoss'),
                dict(type='KLDivergence', reduction='batchmean'),
                dict(type='KLDivergence', reduction='mean'),
            )
        )
        torch.testing.assert_close(ours(*larger), ours(s, t))
        torch.testing.assert_close(batch(*larger), 2 * batch(s, t))
        torch.testing.assert_close(every(s, t), ours(s, t) / 5)

    def test_a_temperature_out_of_range(self):
        with pytest.raises(ValueError, match='tau must be a finite number above 0, got 0'):
            PixelWiseKDLoss(tau=0)


class TestICKD:
    def test_by_hand(self):
        """Two channels, two positions: correlation [[1, 0], [0, 1]] against rows of equal ones."""
        s = torch.eye(2).reshape(1, 2, 1, 2)
        t = torch.ones(1, 2, 1, 2)  # correlation [[2, 2], [2, 2]], rows (1, 1) / sqrt(2)
        a = 1 / math.sqrt(2)
        expected = 2 * ((1 - a) ** 2 + a**2) / 2  # two equal rows, over C = 2
        assert ICKDLoss()(s, t).item() == pytest.approx(expected, rel=1e-6)

    def test_against_loops(self):
        s, t = maps(2, 3, 7, 6)  # 3 x 2 cells of 2 x 3; the last row is dropped
        total = 0.0
        for b in range(2):
            for i in range(3):
                for j in range(2):
                    grams = []
                    for x in (s, t):
                        cell = x[b, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].reshape(3, 6)
                        gram = cell @ cell.T
                        grams.append(gram / gram.norm(dim=1, keepdim=True))
                    total += ((grams[0] - grams[1]) ** 2).sum() / 3
        torch.testing.assert_close(ICKDLoss(grid=(3, 2))(s, t), total / (2 * 6))

    def test_does_not_see_an_order_of_positions_or_a_scale(self):
        s, t = maps(1, 4, 4, 4)
        shuffled = (5 * t.flatten(2)[..., torch.randperm(16)]).view_as(t)
        torch.testing.assert_close(ICKDLoss()(s, shuffled), ICKDLoss()(s, t))

    def test_a_grid_that_does_not_fit(self):
        s, t = maps(1, 4, 4, 4)
        with pytest.raises(ValueError, match='grid 8 x 8 needs a map of at least 8 x 8, got 4 x 4'):
            ICKDLoss(grid=(8, 8))(s, t)
        with pytest.raises(ValueError, match='grid must be two positive integers'):
            ICKDLoss(grid=8)


class TestReviewKD:
    def test_by_hand(self):
        """A map of 2 x 2: itself at weight 1 and its mean at weight 1/2; larger scales left out."""
        s = torch.zeros(1, 1, 2, 2)
        t = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]]]])
        expected = (1.0 * 10 / 4 + 0.5 * 1.0**2) / 1.5
        assert ReviewKDLoss()([s], [t]).item() == pytest.approx(expected)

    def test_against_block_means(self):
        s, t = maps(2, 3, 8, 8)
        expected, total = 0.0, 0.0
        for weight, side in ((1, 8), (1 / 2, 4), (1 / 4, 2), (1 / 8, 1)):
            k = 8 // side
            pooled = [x.reshape(2, 3, side, k, side, k).mean((3, 5)) for x in (s, t)]
            expected += weight * ((pooled[0] - pooled[1]) ** 2).mean()
            total += weight
        torch.testing.assert_close(ReviewKDLoss()([s], [t]), expected / total)

    def test_levels_add_up(self):
        a, b = maps(2, 3, 8, 8), maps(2, 5, 4, 4, seed=1)
        loss = ReviewKDLoss()
        both = loss([a[0], b[0]], [a[1], b[1]])
        torch.testing.assert_close(both, loss(a[:1], a[1:]) + loss(b[:1], b[1:]))

    def test_levels_that_do_not_fit(self):
        s, t = maps(2, 3, 8, 8)
        with pytest.raises(ValueError, match='s_features has 1 levels, t_features has 2'):
            ReviewKDLoss()([s], [t, t])
        with pytest.raises(ValueError, match=r's_features\[1\] has shape'):
            ReviewKDLoss()([s, s], [t, t[:, :2]])


class TestMMRazorsLosses:
    """Those that are used: do they compute what their papers say?"""

    def test_cwd(self):
        s, t = maps(2, 3, 4, 5)
        p, q = (torch.distributions.Categorical(logits=x.flatten(2) / 4) for x in (t, s))
        expected = 3 * 16 * torch.distributions.kl_divergence(p, q).sum() / (2 * 3)
        loss = build(type='ChannelWiseDivergence', tau=4.0, loss_weight=3.0)
        torch.testing.assert_close(loss(s, t), expected)

    def test_at_by_hand(self):
        """Energies (3, 4) -> (0.6, 0.8), against (1, 0)."""
        s = torch.tensor([3.0, 4.0]).sqrt().reshape(1, 1, 1, 2)
        t = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
        loss = build(type='ATLoss', loss_weight=10.0)
        assert loss(s, t).item() == pytest.approx(10 * (0.4**2 + 0.8**2) / 2, rel=1e-6)

    def test_fitnet(self):
        s, t = maps(2, 3, 4, 5)
        loss = dict(type='L2Loss', loss_weight=2.0)
        right = build(**loss, normalize=False, div_element=True)
        torch.testing.assert_close(right(s, t), 2 * ((s - t) ** 2).mean())
        # Its defaults look at directions only: a feature ten times too large costs nothing.
        by_default = build(**loss)
        assert by_default(10 * t, t).item() == pytest.approx(0, abs=1e-12)
        assert right(10 * t, t) > 1

    def test_ofd_by_hand(self):
        """Of four values one is skipped: a student below a target that is not positive."""
        s = torch.tensor([1.0, -3.0, 0.5, -1.0]).reshape(1, 1, 2, 2)
        t = torch.tensor([2.0, -1.0, -1.0, 0.5]).reshape(1, 1, 2, 2)
        loss = build(type='OFDLoss', loss_weight=0.01)
        expected = 0.01 * (1.0**2 + 0 + 1.5**2 + 1.5**2) / 1000
        assert loss(s, t).item() == pytest.approx(expected, rel=1e-6)
        assert loss(s.repeat(3, 1, 1, 1), t.repeat(3, 1, 1, 1)).item() == pytest.approx(expected)
