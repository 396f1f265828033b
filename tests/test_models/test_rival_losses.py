"""Rivals' losses, ours and MMRazor's: hand-worked values, independent formulas, gradients."""

import math
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmrazor.registry import MODELS

from mmrazor_tat.models import ICKDLoss, PixelWiseKDLoss, ReviewKDLoss, ScaledOFDLoss


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def maps(*shape, dtype=torch.float64, seed=0, count=2):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, dtype=dtype, generator=generator) for _ in range(count)]


OURS = {
    'kd': dict(type='PixelWiseKDLoss', tau=3.0),
    'ickd': dict(type='ICKDLoss', grid=(2, 2)),
    'review_kd': dict(type='ReviewKDLoss'),
    'ofd': dict(type='ScaledOFDLoss', meant_for=(256, 33, 33)),
}
MMRAZORS = ('at', 'cwd', 'fitnet')  # of the recipes' fragments
METHODS = Path(__file__).parents[2] / 'configs/_base_/methods'


def recipe(method):
    """Config of the loss at the head, as the recipes have it."""
    losses = Config.fromfile(METHODS / f'{method}.py').method.distiller.distill_losses
    return losses.get('loss_feature', losses.get(f'loss_{method}'))


@pytest.fixture(params=[*OURS, *MMRAZORS])
def call(request):
    """A loss as a function of two maps and its weight."""
    method = request.param
    config = OURS.get(method) or recipe(method)

    def call(s, t, weight=1.0):
        loss = build(**dict(config, loss_weight=weight))
        return loss([s], [t]) if method == 'review_kd' else loss(s, t)

    return call


class TestAll:
    def test_zero_for_equal_maps_and_positive_else(self, call):
        s, t = maps(2, 3, 8, 8)
        assert call(s, s.clone()) == pytest.approx(0, abs=1e-12)
        assert call(s, t) > 1e-3

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


@pytest.mark.parametrize('call', OURS, indirect=True)
class TestOurs:
    """What MMRazor's losses do not promise."""

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


@pytest.mark.parametrize('kind', [PixelWiseKDLoss, ICKDLoss, ReviewKDLoss, ScaledOFDLoss])
@pytest.mark.parametrize('weight', [-1, math.nan, 'a', True])
def test_a_weight_out_of_range(kind, weight):
    other = dict(meant_for=(1, 1, 1)) if kind is ScaledOFDLoss else {}
    with pytest.raises(ValueError, match='loss_weight must be a finite number'):
        kind(loss_weight=weight, **other)


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

    def test_a_single_logit_is_a_binary_head(self):
        s, t = (x.double().requires_grad_() for x in maps(2, 1, 3, 4))
        for tau in (1.0, 3.0):
            p, q = (torch.distributions.Bernoulli(logits=x / tau) for x in (t, s))
            expected = tau**2 * torch.distributions.kl_divergence(p, q).mean()
            loss = PixelWiseKDLoss(tau=tau)(s, t)
            torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
            wanted, got = (torch.autograd.grad(x, s)[0] for x in (expected, loss))
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-14)
            assert got.abs().min() > 0

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


def fitnet(s, t):
    """The mean over all elements, with the square worked out."""
    return ((s * s).sum() - 2 * (s * t).sum() + (t * t).sum()) / (len(s) * s[0].numel())


def ofd(s, t):
    """1e-5 times 256 x 33 x 33 times the mean over all elements of what is not skipped."""
    total = 0.0
    for a, b in zip(s.flatten(), t.flatten()):
        if not a <= b <= 0:
            total = total + (a - b) ** 2
    return 1e-5 * 256 * 33**2 * total / s.numel()


class TestMMRazorsLosses:
    """Those that are used, as the recipes set them: do they compute what their papers say?"""

    @pytest.mark.parametrize('formula', [at, cwd, fitnet, ofd])
    def test_value_and_gradient_are_the_formula_s(self, formula):
        s, t = maps(3, 4, 5, 6)
        s.requires_grad_()
        value, expected = build(**recipe(formula.__name__))(s, t), formula(s, t)
        torch.testing.assert_close(value, expected)
        gradients = [torch.autograd.grad(loss, s)[0] for loss in (value, expected)]
        torch.testing.assert_close(*gradients)
        assert gradients[0].abs().max() > 1e-6

    @pytest.mark.parametrize('method', MMRAZORS)
    def test_a_teacher_s_graph_is_not_cut(self, method):
        """So the algorithm must not build one: see TestInTheAlgorithm of the connectors' tests."""
        s, t = maps(2, 3, 4, 4)
        build(**recipe(method))(s, t.requires_grad_()).backward()
        assert t.grad.abs().sum() > 0

    def test_at_by_hand(self):
        """Energies (3, 4) -> (0.6, 0.8) against (1, 0), in a second image equal ones."""
        s = torch.tensor([[6.0, 0.0], [0.0, 8.0]]).sqrt()  # their squares' mean: (3, 4)
        t = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        s, t = (torch.stack([x, s])[:, :, None] for x in (s, t))  # (2, 2, 1, 2)
        expected = 1000 * (0.4**2 + 0.8**2) / (2 * 2)
        assert build(**recipe('at'))(s, t).item() == pytest.approx(expected, rel=1e-6)

    def test_at_squares_what_a_relu_would_cut(self):
        """Before the ReLU strong negatives are attention too."""
        s, t = maps(2, 3, 4, 5)
        loss = build(**recipe('at'))
        torch.testing.assert_close(loss(s, -t), loss(s, t))
        assert loss(t.relu(), t) > 1

    def test_at_weakens_with_the_size_of_the_map(self):
        """Side by side with itself: norms over twice the positions, and a mean over them."""
        s, t = maps(2, 3, 4, 5)
        loss = build(**recipe('at'))
        larger = loss(torch.cat([s, s], 3), torch.cat([t, t], 3))
        torch.testing.assert_close(larger, loss(s, t) / 2)

    def test_cwd_by_hand(self):
        """(3/4, 1/4) against (1/2, 1/2) in one channel of one image, equal ones in the others."""
        t = torch.zeros(2, 2, 1, 2)
        t[0, 0, 0, 0] = 4 * math.log(3)
        kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        value = build(**recipe('cwd'))(torch.zeros(2, 2, 1, 2), t).item()
        assert value == pytest.approx(3 * 4**2 * kl / (2 * 2), rel=1e-6)

    def test_fitnet_by_hand(self):
        s = torch.tensor([[1.0, 2.0], [0.0, -1.0]]).reshape(2, 1, 1, 2)
        t = torch.tensor([[0.0, 2.0], [3.0, 1.0]]).reshape(2, 1, 1, 2)
        value = build(**recipe('fitnet'))(s, t).item()
        assert value == pytest.approx((1 + 0 + 9 + 4) / 4)

    def test_fitnet_is_not_mmrazor_s_default(self):
        """That looks at directions only: a feature ten times too large costs nothing."""
        _, t = maps(2, 3, 4, 5)
        assert build(type='L2Loss')(10 * t, t).item() == pytest.approx(0, abs=1e-12)
        assert build(**recipe('fitnet'))(10 * t, t) > 1


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
        s, t = maps(2, 3, 5, 4)
        theirs = build(type='OFDLoss', loss_weight=0.7)(s, t)
        torch.testing.assert_close(ScaledOFDLoss((3, 5, 4), 0.7)(s, t), theirs)

    def test_does_not_grow_with_the_map_as_mmrazor_s_does(self):
        """Twice the positions, twice the channels."""
        s, t = maps(2, 3, 4, 4)
        ours, theirs = build(**recipe('ofd')), build(type='OFDLoss')
        for dim in (1, 2, 3):
            larger = [torch.cat([x, x], dim) for x in (s, t)]
            torch.testing.assert_close(ours(*larger), ours(s, t))
            torch.testing.assert_close(theirs(*larger), 2 * theirs(s, t))

    @pytest.mark.parametrize('size', [(2, 3), 4, (2, 3, 0), (2, 3, 1.5), None])
    def test_a_size_that_is_none(self, size):
        with pytest.raises(ValueError, match='meant_for must be'):
            ScaledOFDLoss(size)
