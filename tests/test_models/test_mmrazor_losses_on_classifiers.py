"""KD, FitNet, AT and Overhaul as the classification tables have them: MMRazor's, and right."""

import math

import pytest
import torch
from mmrazor.registry import MODELS


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def pair(*shape):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(2)]


class TestKD:
    """KLDivergence on logits (B, K); on maps it is not a mean over pixels (see the rivals)."""

    def test_hinton_s_equation(self):
        s, t = pair(3, 5)
        expected = 0.0
        for of_s, of_t in zip(s.tolist(), t.tolist()):
            p, q = ([math.exp(z / 4) for z in row] for row in (of_t, of_s))
            p, q = ([e / sum(row) for e in row] for row in (p, q))
            expected += sum(a * math.log(a / b) for a, b in zip(p, q))
        got = build(type='KLDivergence', tau=4.0, loss_weight=0.9)(s, t)
        assert got.item() == pytest.approx(0.9 * 4**2 * expected / 3, rel=1e-12)

    def test_by_hand(self):
        """(3/4, 1/4) against (1/2, 1/2) at temperature 2, equal ones in the second image."""
        t = torch.tensor([[2 * math.log(3), 0.0], [1.0, 1.0]], dtype=torch.float64)
        kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        got = build(type='KLDivergence', tau=2.0)(torch.zeros_like(t), t)
        assert got.item() == pytest.approx(2**2 * kl / 2)

    def test_the_gradient_and_none_for_the_teacher(self):
        s, t = (x.requires_grad_() for x in pair(3, 5))
        build(type='KLDivergence', tau=4.0)(s, t).backward()
        expected = 4 * ((s / 4).softmax(1) - (t / 4).softmax(1)) / 3
        torch.testing.assert_close(s.grad, expected.detach())
        assert t.grad is None


@pytest.mark.parametrize('size', [7, 8])  # ImageNet's last map, CIFAR's
class TestMaps:
    def test_fitnet(self, size):
        """100 times the mean square, over images, channels and positions."""
        s, t = pair(2, 3, size, size)
        loss = build(type='L2Loss', normalize=False, div_element=True, loss_weight=100.0)
        expected = sum((a - b) ** 2 for a, b in zip(s.flatten().tolist(), t.flatten().tolist()))
        assert loss(s, t).item() == pytest.approx(100 * expected / (2 * 3 * size**2), rel=1e-12)

    def test_overhaul(self, size):
        """Not where the student is below a target that is not positive; over images only."""
        s, t = pair(2, 3, size, size)
        got = build(type='OFDLoss', loss_weight=1.0)(s, t)
        expected = sum(
            (a - b) ** 2
            for a, b in zip(s.flatten().tolist(), t.flatten().tolist())
            if not a <= b <= 0
        )
        assert got.item() == pytest.approx(expected / 2 / 1000, rel=1e-12)


@pytest.mark.parametrize('sizes', [(32, 16, 8), (28, 14, 7)])
def test_at_sums_over_three_stages(sizes):
    """A loss a stage, each 1000 times the mean over images and positions, widths may differ."""
    total, expected = 0.0, 0.0
    for k, size in enumerate(sizes):
        (s, _), (t, _) = pair(2, 2 << k, size, size), pair(2, 3 << k, size, size)
        total += build(type='ATLoss', loss_weight=1000.0)(s, t).item()
        for image in range(2):
            energies = [x[image].square().mean(0).flatten() for x in (s, t)]
            a, b = ((e / math.sqrt(float(e @ e))).tolist() for e in energies)
            expected += 1000 * sum((x - y) ** 2 for x, y in zip(a, b)) / (2 * size**2)
    assert total == pytest.approx(expected, rel=1e-12)
