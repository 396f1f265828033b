"""How sure a mean of few values is: Student's t-interval, without scipy."""

import math

# The 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
_QUANTILES = (
    (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
    + (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
    + (2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
)


def t_interval(mean: float, std: float, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a mean.

    Args:
        mean: of the values.
        std: of the sample (n - 1).
        count: n, at least 2. Above 31 the quantile of 31 is taken: a little too wide.

    Returns:
        (lower, upper), in the unit of the values.

    Raises:
        ValueError: fewer than two values.
    """
    if count < 2:
        raise ValueError(f'count must be at least 2 for an interval, got {count}')
    half = _QUANTILES[min(count, len(_QUANTILES) + 1) - 2] * std / math.sqrt(count)
    return mean - half, mean + half
