"""Drawing the axes: a colour for each run, a style for each loss."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ...utils.work_dir import diverged_at
from ..figures import GREY, LINES, ORANGE, STYLES, plt, save_figure
from .axes import AxisContent, axes_of
from .run import Run, labels_of, series

_COLOURS = (*LINES, ORANGE)
_STYLES = (*STYLES, (0, (9, 2)), (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)), (0, (9, 2, 1, 2)))
_WIDTH, _HEIGHT, _LEGEND_LINE = 4.8, 3.1, 0.22  # inches
# What the title of a content says already where it is the only name in it.
_SELF_EVIDENT = ('task', 'total', 'lr', 'student')
_INK, _GRID = '#555555', '#E5E5E5'
# From the least to the greatest: more than this reads better on a logarithmic axis.
_LOG_RANGE = 12
# A smaller difference than this part of the metric fills no axis: it would look large.
_LEAST_SPAN = 0.05
_STEPS = [1, 2, 2.5, 5, 10]
_SMOOTH = ('loss', 'share')  # of these the noise is averaged out


def plot_runs(
    runs: Sequence[Run], path: Path, metric: Optional[str] = None, smooth: Optional[int] = None
) -> None:
    """Write the picture of :func:`draw_runs`; its ending names the format: .png, .svg, .pdf."""
    save_figure(draw_runs(runs, metric, smooth), Path(path))


def draw_runs(
    runs: Sequence[Run], metric: Optional[str] = None, smooth: Optional[int] = None
) -> Figure:
    """Losses, shares, learning rate and a metric of some runs, in axes, against iterations.

    Args:
        runs: at least one, from :func:`read_run`.
        metric: of the validations; None: mIoU or accuracy/top1, where there is one.
        smooth: losses and shares are drawn as running means over so many logged points (of an even
            number: one more), with what was logged faintly behind; 1: as they are; None: by the
            length of the longest run.

    Returns:
        The figure; the caller saves and closes it.

    Raises:
        ValueError: no run; a metric that no run has; two runs of one name; nothing to draw;
            ``smooth`` below 1.
    """
    if not runs:
        raise ValueError('there is no run to draw')
    if smooth is not None and smooth < 1:
        raise ValueError(f'smooth must be a number of points, at least 1, got {smooth}')
    labels = labels_of(runs)
    contents = axes_of(runs, metric)
    if not contents:
        raise ValueError(f'the logs of {", ".join(labels)} hold nothing to draw')
    # By default about a fortieth of the points, none below 80; as many before as after.
    window = smooth or max(1, max(len(run.training) for run in runs) // 40)
    window += window % 2 == 0
    # Colour-blind readers too can tell up to seven apart.
    colours = list(_COLOURS[: len(runs)])
    if len(runs) > len(_COLOURS):
        colours = [to_hex(of) for of in colormaps['turbo'](np.linspace(0.05, 0.95, len(runs)))]
    legend = []
    for label, run in zip(labels, runs):
        since = diverged_at(series(run.training, 'loss').to_dict())
        bad = '' if since is None else f' (loss not finite from iteration {since:,})'
        legend.append(label + bad)
    columns = 2 if len(contents) == 4 else min(3, len(contents))
    rows = math.ceil(len(contents) / columns)
    width = _WIDTH * max(columns, 2 if len(contents) > 1 else 1.4)
    per_line = max(1, int(width * 11 / (max(map(len, legend)) + 7)))
    height = _HEIGHT * rows + _LEGEND_LINE * (math.ceil(len(runs) / per_line) + 1.5)
    figure = plt.figure(figsize=(width, height), layout='constrained')
    figure.get_layout_engine().set(h_pad=0.08)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    styles = _styles(contents)
    for axis, content in zip(axes, contents):
        _draw(axis, content, colours, styles, window)
        axis.set_xlim(0, 1.02 * max(run.iterations for run in runs))
    for axis in axes[len(contents) :]:
        axis.remove()
    handles = [Line2D([], [], color=c, linewidth=3, label=text) for c, text in zip(colours, legend)]
    figure.legend(handles=handles, loc='outside upper left', ncols=per_line, frameon=False)
    if window > 1 and any(content.kind in _SMOOTH for content in contents):
        text = f'losses and shares: running mean over {window} logged points, faint: as logged'
        figure.supxlabel(text, fontsize=9, color=_INK)
    return figure


def _draw(
    axis: Axes, content: AxisContent, colours: list[str], styles: dict[str, tuple], window: int
) -> None:
    is_setting = content.kind == 'setting'
    for line in content.lines:
        colour = GREY if line.run is None else colours[line.run]
        drawn, look = line.series, dict(linestyle=styles[line.name], linewidth=1.5)
        if content.kind in _SMOOTH and window > 1:
            axis.plot(drawn, color=colour, linewidth=0.7, alpha=0.25, zorder=1)
            drawn = drawn.rolling(window, min_periods=1, center=True).mean().where(drawn.notna())
        if is_setting and line.run is not None:
            # Lines that lie upon each other are seen beside each other.
            look.update(linewidth=1.5 + min(1.5 * (len(colours) - 1 - line.run), 6))
        # Otherwise a single point, or a few far apart, would not be seen.
        if len(drawn) < 25 and line.run is not None and not is_setting:
            look.update(marker='o', markersize=3.5)
        axis.plot(drawn, color=colour, **look)
    _set_scale(axis, content)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=_STEPS, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
    axis.set_xlabel('iteration', fontsize=9)
    axis.tick_params(labelsize=9)
    axis.grid(color=_GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    # The title and, where lines differ, which style is what.
    if len(content.names) == 1:
        (name,) = content.names
        title = content.title + (f': {name}' if name not in _SELF_EVIDENT else '')
        axis.set_title(title, loc='left', fontsize=10)
        return
    handles = [
        Line2D([], [], color=_INK, linestyle=styles[name], linewidth=1.5, label=name)
        for name in content.names
    ]
    place = dict(loc='lower left', bbox_to_anchor=(0.0, 1.0), borderpad=0.0, borderaxespad=0.2)
    look = dict(alignment='left', title_fontsize=10, fontsize=9, handlelength=3.2, frameon=False)
    axis.legend(handles=handles, title=content.title, ncols=3, **place, **look)


def _set_scale(axis: Axes, content: AxisContent) -> None:
    """Logarithmic, with a gap at 0, for losses of several magnitudes, else from 0 but metrics."""
    values = pd.concat([line.series for line in content.lines]).dropna()
    if values.empty:
        return
    least, greatest, positive = values.min(), values.max(), values[values > 0].min()
    is_wide = content.kind == 'loss' and least >= 0 and greatest > _LOG_RANGE * positive
    axis.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    if is_wide:
        axis.set_yscale('log', nonpositive='mask')
        axis.yaxis.set_minor_locator(NullLocator())
        subs = (1, 2, 5) if greatest < 200 * positive else (1,)
        axis.yaxis.set_major_locator(LogLocator(subs=subs))
    percent, unit = (100, '%') if content.kind == 'share' else (1, '')
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{percent * value:g}{unit}'))
    if content.kind == 'metric':
        lacking = max(0, _LEAST_SPAN * abs(greatest) - (greatest - least))
        if lacking:
            axis.set_ylim(least - lacking / 2, greatest + lacking / 2)
    elif not is_wide and least >= 0 and greatest > 0:
        axis.set_ylim(0.0, 1.05 * greatest)


def _styles(contents: Sequence[AxisContent]) -> dict[str, tuple]:
    """By the name of a line; a loss has one style in all axes."""
    styles = {'task': _STYLES[0], 'total': _STYLES[1], 'lr': _STYLES[0]}
    styles.update(student=_STYLES[0], teacher=(0, (5, 2)))
    for kinds in ([c for c in contents if 'parts' not in c.title], contents):
        names = [name for content in kinds for name in content.names]
        fresh = [name for name in dict.fromkeys(names) if name not in styles]
        styles.update({name: _STYLES[n % len(_STYLES)] for n, name in enumerate(fresh)})
    return styles
