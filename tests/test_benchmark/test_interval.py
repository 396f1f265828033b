"""The t-interval against the distribution itself, integrated, and a hand-worked one."""

import math

import pytest

from mmrazor_tat.benchmark.report import summary as interval
from mmrazor_tat.benchmark.report.summary import t_interval


def probability_within(t: float, freedom: int, steps: int = 4000) -> float:
    """Of Student's t, by Simpson's rule."""
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)

    def density(x: float) -> float:
        return scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)

    width = 2 * t / steps
    inner = sum((4 if k % 2 else 2) * density(-t + k * width) for k in range(1, steps))
    return (density(-t) + density(t) + inner) * width / 3


def test_the_quantiles():
    assert len(interval._QUANTILES) == 30
    for freedom, quantile in enumerate(interval._QUANTILES, start=1):
        assert probability_within(quantile, freedom) == pytest.approx(0.95, abs=1e-4), freedom


def test_an_interval():
    """3.21 +- 4.303 x 1.10 / sqrt(3) = 3.21 +- 2.733."""
    assert t_interval(3.21, 1.10, 3) == pytest.approx((0.477, 5.943), abs=1e-3)
    assert t_interval(0.0, 1.0, 4) == pytest.approx((-1.591, 1.591))  # 3.182 / 2
    assert t_interval(5.0, 0.0, 2) == (5.0, 5.0)


def test_many_values():
    """Never narrower than the true interval, whose quantile falls to 1.96."""
    lower, upper = t_interval(0.0, 1.0, 400)
    assert upper == -lower == pytest.approx(2.042 / 20)


def test_one_value_has_none():
    with pytest.raises(ValueError, match='count must be at least 2 for an interval, got 1'):
        t_interval(1.0, 0.0, 1)
