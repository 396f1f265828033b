"""The axis of a panel's values."""

import math

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .panels import Panel

# From the least to the greatest: more than this reads better on a logarithmic axis.
_LOG_RANGE = 12
# A smaller difference than this part of the metric fills no axis: it would look large.
_LEAST_SPAN = 0.05


def set_scale(axis: Axes, panel: Panel) -> None:
    """Logarithmic for losses of several magnitudes, else from 0 for all but metrics.

    A loss of 0 has no place on a logarithmic axis: there its line has a gap.
    """
    values = [v for line in panel.lines for v in line.series.values if not math.isnan(v)]
    if not values:
        return
    least, greatest = min(values), max(values)
    positive = [value for value in values if value > 0]
    if panel.kind == 'loss' and least >= 0 and positive and greatest > _LOG_RANGE * min(positive):
        _set_logarithmic(axis, greatest / min(positive))
        return
    axis.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    if panel.kind == 'share':
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{100 * value:g}%'))
    if panel.kind == 'metric':
        lacking = _LEAST_SPAN * abs(greatest) - (greatest - least)
        if lacking > 0:
            axis.set_ylim(least - lacking / 2, greatest + lacking / 2)
    elif least >= 0 and greatest > 0:
        axis.set_ylim(0.0, 1.05 * greatest)


def _set_logarithmic(axis: Axes, span: float) -> None:
    axis.set_yscale('log', nonpositive='mask')
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 200 else (1,)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
