"""Running means, so that noisy curves can be told apart."""

import math
from collections.abc import Sequence


def default_window(points: int) -> int:
    """Of a curve: about a fortieth of its points; none below 80."""
    return odd(points // 40)


def odd(window: int) -> int:
    """The next odd number, so that a mean has as many points before as after."""
    return max(1, window + (window % 2 == 0 and window > 0))


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and its neighbours; the curve is not shifted.

    Args:
        values: NaN among them is left out of the means, and stays NaN itself.
        window: how many values, an odd number. Towards both ends as many as there are on each side.

    Returns:
        As many as ``values``.
    """
    means = []
    for place, value in enumerate(values):
        reach = min(window // 2, place, len(values) - 1 - place)
        near = [v for v in values[place - reach : place + reach + 1] if not math.isnan(v)]
        means.append(math.nan if math.isnan(value) else sum(near) / len(near))
    return means
