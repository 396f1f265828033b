"""Rivals' losses on maps, ours and MMRazor's: hand-worked values, independent formulas."""

import math

import pytest
import torch
from drawn import build, maps, recipe

from mmrazor_tat.models import ICKDLoss, PixelWiseKDLoss, ReviewKDLoss, ScaledOFDLoss

KL = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)  # (3/4, 1/4) and (1/2, 1/2)


def pair(*shape):
    return maps(shape, shape)


def side_by_side(x, dim=3):
    return torch.cat([x, x], dim)


class TestPixelWiseKD:
    def test_by_hand(self):
        """Two pixels: (3/4, 1/4) against (1/2, 1/2), and equal ones."""
        t = torch.log(torch.tensor([[3.0, 1.0], [1.0, 1.0]])).T.reshape(1, 2, 1, 2)
        s = torch.zeros(1, 2, 1, 2)
        assert PixelWiseKDLoss()(s, t).item() == pytest.approx(KL / 2, rel=1e-6)

    def test_a_single_logit_is_a_binary_head(self):
        s, t = (x.requires_grad_() for x in pair(2, 1, 3, 4))
        for tau in (1.0, 3.0):
            p, q = (torch.distributions.Bernoulli(logits=x / tau) for x in (t, s))
            expected = tau**2 * torch.distributions.kl_divergence(p, q).mean()
            loss = PixelWiseKDLoss(tau=tau)(s, t)
            torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
            wanted, got = (torch.autograd.grad(x, s)[0] for x in (expected, loss))
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-14)
            assert got.abs().min() > 0

    def test_against_torch_distributions(self):
        s, t = pair(2, 5, 3, 4)
        p, q = (torch.distributions.Categorical(logits=x.permute(0, 2, 3, 1) / 2) for x in (t, s))
        expected = 4 * torch.distributions.kl_divergence(p, q).mean()
        torch.testing.assert_close(PixelWiseKDLoss(tau=2.0)(s, t), expected)

    def test_does_not_depend_on_the_size_as_mmrazor_s_does(self):
        """Why MMRazor's KLDivergence is not used: neither of its means is one over pixels."""
        s, t = pair(2, 5, 4, 4)
        larger = side_by_side(s), side_by_side(t)
        ours = build(type='PixelWiseKDLoss')
        batch, every = (build(type='KLDivergence', reduction=r) for r in ('batchmean', 'mean'))
        torch.testing.assert_close(ours(*larger), ours(s, t))
        torch.testing.assert_close(batch(*larger), 2 * batch(s, t))
        torch.testing.assert_close(every(s, t), ours(s, t) / 5)

    def test_a_temperature_out_of_range(self):
        with pytest.raises(ValueError, match='tau must be a finite number above 0, got 0'):
            PixelWiseKDLoss(tau=0)


class TestKLDivergence:
    """MMRazor's, on logits (B, K), as the classification tables have it."""

    def test_hinton_s_equation_and_its_gradient(self):
        s, t = (x.requires_grad_() for x in pair(3, 5))
        p, q = (torch.distributions.Categorical(logits=x / 4) for x in (t.detach(), s.detach()))
        expected = torch.distributions.kl_divergence(p, q).mean().item()
        got = build(type='KLDivergence', tau=4.0, loss_weight=0.9)(s, t)
        assert got.item() == pytest.approx(0.9 * 4**2 * expected, rel=1e-12)
        got.backward()
        torch.testing.assert_close(s.grad, 0.9 * 4 * ((s / 4).softmax(1) - (t / 4).softmax(1)) / 3)
        assert t.grad is None


class TestICKD:
    def test_by_hand(self):
        """Two channels, two positions: correlation [[1, 0], [0, 1]] against rows of equal ones."""
        s = torch.eye(2).reshape(1, 2, 1, 2)
        t = torch.ones(1, 2, 1, 2)  # correlation [[2, 2], [2, 2]], rows (1, 1) / sqrt(2)
        a = 1 / math.sqrt(2)
        expected = 2 * ((1 - a) ** 2 + a**2) / 2  # two equal rows, over C = 2
        assert ICKDLoss()(s, t).item() == pytest.approx(expected, rel=1e-6)

    def test_against_loops(self):
        s, t = pair(2, 3, 7, 6)  # 3 x 2 cells of 2 x 3; the last row is dropped
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

    def test_a_grid_that_does_not_fit(self):
        s, t = pair(1, 4, 4, 4)
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
        s, t = pair(2, 3, 8, 8)
        expected, total = 0.0, 0.0
        for weight, side in ((1, 8), (1 / 2, 4), (1 / 4, 2), (1 / 8, 1)):
            k = 8 // side
            pooled = [x.reshape(2, 3, side, k, side, k).mean((3, 5)) for x in (s, t)]
            expected += weight * ((pooled[0] - pooled[1]) ** 2).mean()
            total += weight
        torch.testing.assert_close(ReviewKDLoss()([s], [t]), expected / total)

    def test_levels(self):
        a, b, loss = pair(2, 3, 8, 8), pair(2, 5, 4, 4), ReviewKDLoss()
        both = loss([a[0], b[0]], [a[1], b[1]])
        torch.testing.assert_close(both, loss(a[:1], a[1:]) + loss(b[:1], b[1:]))
        with pytest.raises(ValueError, match='s_features has 1 levels, t_features has 2'):
            loss(a[:1], a)
        with pytest.raises(ValueError, match=r's_features\[1\] has shape'):
            loss([a[0], b[0]], [a[1], a[1]])


def at(s, t):
    """1000 times the mean over images and positions."""
    total = 0.0
    for image in range(len(s)):
        maps = []
        for x in (s[image], t[image]):
            energy = sum(channel * channel for channel in x) / len(x)
            maps.append(energy / torch.sqrt((energy * energy).sum()))
        total = total + ((maps[0] - maps[1]) ** 2).sum()
    return 1000 * total / (len(s) * s[0, 0].numel())


def cwd(s, t):
    """At temperature 4, 3 * 16 times the mean over images and channels."""
    p, q = (torch.distributions.Categorical(logits=x.flatten(2) / 4) for x in (t, s))
    return 48 * torch.distributions.kl_divergence(p, q).mean()


class TestMMRazorsLosses:
    """Those that are used, as the recipes set them: do they compute what their papers say?"""

    @pytest.mark.parametrize('formula', [at, cwd])
    def test_value_and_gradient_are_the_formula_s(self, formula):
        s, t = pair(3, 4, 5, 6)
        s.requires_grad_()
        value, expected = build(**recipe(formula.__name__))(s, t), formula(s, t)
        torch.testing.assert_close(value, expected)
        gradients = [torch.autograd.grad(loss, s)[0] for loss in (value, expected)]
        torch.testing.assert_close(*gradients)
        assert gradients[0].abs().max() > 1e-6

    def test_at_by_hand(self):
        """Energies (3, 4) -> (0.6, 0.8) against (1, 0), in a second image equal ones."""
        s = torch.tensor([[6.0, 0.0], [0.0, 8.0]]).sqrt()  # their squares' mean: (3, 4)
        t = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        s, t = (torch.stack([x, s])[:, :, None] for x in (s, t))  # (2, 2, 1, 2)
        expected = 1000 * (0.4**2 + 0.8**2) / (2 * 2)
        assert build(**recipe('at'))(s, t).item() == pytest.approx(expected, rel=1e-6)

    def test_at_squares_what_a_relu_would_cut(self):
        """Before the ReLU strong negatives are attention too; and it weakens with the map's size:
        norms over twice the positions, and a mean over them."""
        s, t = pair(2, 3, 4, 5)
        loss = build(**recipe('at'))
        torch.testing.assert_close(loss(s, -t), loss(s, t))
        assert loss(t.relu(), t) > 1
        torch.testing.assert_close(loss(side_by_side(s), side_by_side(t)), loss(s, t) / 2)

    def test_cwd_by_hand(self):
        """(3/4, 1/4) against (1/2, 1/2) in one channel of one image, equal ones in the others."""
        t = torch.zeros(2, 2, 1, 2)
        t[0, 0, 0, 0] = 4 * math.log(3)
        value = build(**recipe('cwd'))(torch.zeros(2, 2, 1, 2), t).item()
        assert value == pytest.approx(3 * 4**2 * KL / (2 * 2), rel=1e-6)

    def test_fitnet(self):
        s = torch.tensor([[1.0, 2.0], [0.0, -1.0]]).reshape(2, 1, 1, 2)
        t = torch.tensor([[0.0, 2.0], [3.0, 1.0]]).reshape(2, 1, 1, 2)
        loss, default = build(**recipe('fitnet')), build(type='L2Loss')
        assert loss(s, t).item() == pytest.approx((1 + 0 + 9 + 4) / 4)
        # MMRazor's default looks at directions only: a feature ten times too large costs nothing.
        assert default(10 * t, t).item() == pytest.approx(0, abs=1e-6)
        assert loss(10 * t, t) > 1


class TestOverhaul:
    """MMRazor's loss, which is a sum, scaled to the map that its weight is meant for."""

    def test_by_hand(self):
        """Of four values one is skipped: a student below a target that is not positive."""
        s = torch.tensor([1.0, -3.0, 0.5, -1.0]).reshape(1, 1, 2, 2)
        t = torch.tensor([2.0, -1.0, -1.0, 0.5]).reshape(1, 1, 2, 2)
        s, t = (torch.cat([x, t]) for x in (s, t))  # a second image, of equal maps
        total = (1.0**2 + 0 + 1.5**2 + 1.5**2) / 2
        as_mmrazor = ScaledOFDLoss((1, 2, 2), loss_weight=0.01)
        assert as_mmrazor(s, t).item() == pytest.approx(1e-5 * total, rel=1e-6)
        twice = ScaledOFDLoss((2, 2, 2), loss_weight=0.01)
        assert twice(s, t).item() == pytest.approx(2e-5 * total, rel=1e-6)

    def test_is_mmrazor_s_on_the_map_that_it_is_meant_for(self):
        s, t = pair(2, 3, 5, 4)
        theirs = build(type='OFDLoss', loss_weight=0.7)(s, t)
        torch.testing.assert_close(ScaledOFDLoss((3, 5, 4), 0.7)(s, t), theirs)

    def test_does_not_grow_with_the_map_as_mmrazor_s_does(self):
        """Twice the positions, twice the channels."""
        s, t = pair(2, 3, 4, 4)
        ours, theirs = build(**recipe('ofd')), build(type='OFDLoss')
        for dim in (1, 2, 3):
            larger = side_by_side(s, dim), side_by_side(t, dim)
            torch.testing.assert_close(ours(*larger), ours(s, t))
            torch.testing.assert_close(theirs(*larger), 2 * theirs(s, t))

    @pytest.mark.parametrize('size', [(2, 3), 4, (2, 3, 0), (2, 3, 1.5), None])
    def test_a_size_that_is_none(self, size):
        with pytest.raises(ValueError, match='meant_for must be'):
            ScaledOFDLoss(size)
