"""RKD: ours and MMRazor's, against hand-worked values and each other."""

import pytest
import torch
from drawn import build, maps
from mmengine.utils import digit_version


def features(*shape, seed=0):
    return maps(shape, seed=seed)[0]


def relations(x):
    """Distances over the mean of those above 0, and cosines, 0 where images coincide."""
    distances, vectors = torch.cdist(x, x), x[None] - x[:, None]
    directions = torch.nn.functional.normalize(vectors, dim=2)
    return distances / distances[distances > 0].mean(), directions @ directions.mT


DISTANCE, ANGLE = dict(angle_weight=0.0), dict(distance_weight=0.0)
MMRAZORS = dict(distance='DistanceWiseRKD', angle='AngleWiseRKD')


def mmrazors(which, weight=1.0):
    return build(type=MMRAZORS[which], with_l2_norm=False, loss_weight=weight)


class TestBoth:
    """Ours and MMRazor's compute what the paper says."""

    def test_the_sum_of_mmrazor_s(self):
        s, t = 3 * features(5, 4), features(5, 7, seed=1)
        s.requires_grad_()
        distance, angle = mmrazors('distance', 25.0)(s, t), mmrazors('angle', 50.0)(s, t)
        assert min(distance, angle) > 0.1
        ours = build(type='RKDLoss', loss_weight=2.0)(s, t)
        torch.testing.assert_close(ours, 2 * (distance + angle), rtol=1e-6, atol=0)
        (gradient,) = torch.autograd.grad(ours, s)
        expected = torch.autograd.grad(2 * (distance + angle), s)[0]
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-8)

    def test_by_hand(self):
        """The student's images on a line at 0, 1, 3, the teacher's a triangle of 3, 4, 5."""
        s = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
        t = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
        # 1/2, 1, 3/2 against 3/4, 5/4, 1; each pair twice of nine.
        distance = 2 * (0.25**2 + 0.25**2 + 0.5**2) / 2 / 9
        # Cosines 1, -1, 1 against 0, 3/5, 4/5: gaps 1, 8/5, 1/5; each twice of 27.
        angle = 2 * (0.5 + (1.6 - 0.5) + 0.02) / 27
        for which, value in dict(distance=distance, angle=angle).items():
            assert mmrazors(which)(s, t).item() == pytest.approx(value, rel=1e-6)
        assert build(type='RKDLoss', distance_weight=1.0, **DISTANCE)(s, t) == pytest.approx(
            distance
        )
        assert build(type='RKDLoss', angle_weight=1.0, **ANGLE)(s, t) == pytest.approx(angle)

    def test_mmrazor_s_default_is_another_loss(self):
        """It looks at directions only: images that lie on one ray coincide for it."""
        s, t = features(4, 3), features(4, 3, seed=1)
        scale = torch.arange(1.0, 5, dtype=torch.float64)[:, None]
        default = build(type='DistanceWiseRKD')
        torch.testing.assert_close(default(scale * s, t), default(s, t))
        assert abs(mmrazors('distance')(scale * s, t) - mmrazors('distance')(s, t)) > 0.01


class TestOurs:
    """What MMRazor's do not stand, each shown with theirs."""

    def test_images_that_coincide_for_the_student(self):
        """A zero vector has no direction: MMRazor divides the gradient there by 1e-12."""
        s, t = features(4, 3), features(4, 3, seed=1)
        s[1] = s[0]
        s.requires_grad_()
        loss = build(type='RKDLoss')(s, t)
        expected = 0.0
        for weight, *of_both in zip((25, 50), relations(s), relations(t)):
            expected += weight * torch.nn.functional.smooth_l1_loss(*of_both)
        torch.testing.assert_close(loss, expected, rtol=1e-10, atol=0)
        (ours,) = torch.autograd.grad(loss, s)
        (theirs,) = torch.autograd.grad(mmrazors('angle')(s, t), s)
        assert ours.isfinite().all() and ours.abs().max() < 100
        assert theirs.abs().max() > 1e7
        one = features(1, 3).expand(4, 3).clone().requires_grad_()
        build(type='RKDLoss')(one, t).backward()
        assert one.grad.isfinite().all()

    def test_one_image_and_two(self):
        """A pair has one distance and no angle; a scale is no relation either."""
        s, t = features(2, 3), features(2, 3, seed=1)
        assert mmrazors('distance')(s[:1], t[:1]).isnan()
        assert build(type='RKDLoss')(s, t) == pytest.approx(0, abs=1e-12)
        s = features(4, 3)
        assert build(type='RKDLoss')(s, 7 * s) == pytest.approx(0, abs=1e-12)

    def test_near_duplicates_in_float32(self):
        """By differences; MMRazor's (a^2 + b^2 - 2ab) leaves nothing of a small distance."""
        s, t = 3 + features(6, 64), features(6, 64, seed=1)
        s[1] = s[0] + 1e-4 * features(64, seed=2)
        gradients = []
        for cast in (torch.float64, torch.float32):
            x = s.to(cast).requires_grad_()
            losses = (build(type='RKDLoss', **DISTANCE), mmrazors('distance', 25.0))
            gradients.append([torch.autograd.grad(f(x, t.to(cast)), x)[0] for f in losses])
        (exact, _), (ours, theirs) = gradients
        ours, theirs = (float((x - exact).norm() / exact.norm()) for x in (ours, theirs))
        assert ours < 0.01 and theirs > 0.1, (ours, theirs)

    @pytest.mark.skipif(
        digit_version(torch.__version__) < digit_version('2.2'), reason='no such product on a CPU'
    )
    def test_what_mmrazor_s_cannot_read(self):
        """1e-12 is 0 in float16: 0 / 0. And maps must be contiguous."""
        s, t = features(8, 16), features(8, 32, seed=1)
        assert mmrazors('angle')(s.half(), t.half()).isnan()
        last = features(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
        with pytest.raises(RuntimeError, match='view size is not compatible'):
            mmrazors('angle')(last, t[:4])

    @pytest.mark.parametrize('name', ['distance_weight', 'angle_weight'])
    def test_a_weight_out_of_range(self, name):
        with pytest.raises(ValueError, match=f'{name} must be a finite number'):
            build(type='RKDLoss', **{name: -1})
