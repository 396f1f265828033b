"""The pictures of the report: the last values. Those of the whole training are in curves.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...utils.metrics import metric_title
from ...visualization.figures import GREY, ORANGE, SKY, save_figure
from ..suites.definition import Suite
from .summary import Row, by_group, has_groups, roles

TEACHER, BASELINE, METHOD = GREY, ORANGE, SKY
_INCHES = 0.42  # of a run
_COLUMNS = 2  # of panels, where there are groups


def plot_bars(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The mean of each run's last values as a dot, with its error bar, and every seed below it.

    No bars from an axis that begins anywhere but at 0: their lengths would exaggerate. A group is a
    part of the figure, whose axis is its own.
    """
    shown = [row for row in table if row.by_seed]
    _, baselines = roles(suite)
    if has_groups(shown):
        figure = _grouped(suite, shown)
    else:
        height = 1.2 + _INCHES * len(shown)
        figure, axis = plt.subplots(figsize=(8, height), layout='constrained')
        _axis(axis, suite, shown, len(shown))
    handles = _legend(
        has_spread=any(row.last[suite.metric].std is not None for row in shown),
        has_baseline=any(row.run.name in baselines for row in shown),
    )
    figure.legend(
        handles=handles, loc='outside upper right', ncols=len(handles), frameon=False, fontsize=9
    )
    save_figure(figure, path)


def _grouped(suite: Suite, shown: Sequence[Row]) -> Figure:
    """An axis a group; the runs that are in none in one above them, along the whole width."""
    groups = by_group(shown)
    rest = groups.pop(None, [])
    titles = list(groups)
    columns = min(_COLUMNS, len(groups))
    lines = [titles[n : n + columns] for n in range(0, len(titles), columns)]
    sizes = [max(len(groups[title]) for title in line) for line in lines]
    sizes = [len(rest)] * bool(rest) + sizes
    heights = [0.9 + _INCHES * size for size in sizes]
    size = (8 if columns == 1 else 6.5 * columns, 0.4 + sum(heights))
    figure = plt.figure(figsize=size, layout='constrained')
    figure.get_layout_engine().set(hspace=0.01, h_pad=0.08)
    grid = figure.add_gridspec(len(sizes), columns, height_ratios=heights)
    if rest:
        _axis(figure.add_subplot(grid[0, :]), suite, rest, len(rest))
    for number, line in enumerate(lines, start=bool(rest)):
        for column, title in enumerate(line):
            axis = figure.add_subplot(grid[number, column])
            _axis(axis, suite, groups[title], sizes[number], title)
    return figure


def _axis(
    axis: Axes, suite: Suite, shown: Sequence[Row], places: int, title: Optional[str] = None
) -> None:
    """Draw runs from top to bottom; ``places``: for how many there is room."""
    teachers, baselines = roles(suite)
    ends = [end for row in shown for end in _ends(row, suite.metric)]
    span = max(ends) - min(ends) or 1.0
    for place, row in enumerate(shown):
        of = row.last[suite.metric]
        name = row.run.name
        colour = TEACHER if name in teachers else BASELINE if name in baselines else METHOD
        if of.std is not None:
            axis.errorbar(of.mean, place, xerr=of.std, color='black', capsize=4, linewidth=1.2)
        axis.scatter(of.mean, place, s=90, color=colour, edgecolor='black', linewidth=0.8, zorder=3)
        # Below the error bar, so that neither hides the other.
        axis.scatter(
            list(row.by_seed.values()),
            [place + 0.3] * len(row.by_seed),
            s=14,
            facecolor='white',
            edgecolor='black',
            linewidth=0.8,
            zorder=3,
        )
        axis.text(
            _ends(row, suite.metric)[1] + 0.025 * span,
            place,
            f'{of.mean:.2f}',
            va='center',
            fontsize=9,
            bbox=dict(facecolor='white', edgecolor='none', pad=0.6),
        )
    _draw_baselines(axis, shown, baselines, suite.metric)
    axis.set_yticks(range(len(shown)), [row.run.label for row in shown])
    axis.set_ylim(places - 0.4, -0.6)
    axis.set_xlim(min(ends) - 0.05 * span, max(ends) + 0.15 * span)
    axis.set_xlabel(f'last {metric_title(suite.metric)}')
    axis.grid(axis='x', color='#DDDDDD', linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    if title is not None:
        axis.set_title(title, loc='left', fontsize=11)


def _draw_baselines(axis, shown: Sequence[Row], baselines: list[str], metric: str) -> None:
    """A dashed line at the mean of each baseline, along the runs that are held against it."""
    for name in baselines:
        group = [n for n, row in enumerate(shown) if name in (row.run.name, row.run.baseline)]
        means = [row.last[metric].mean for row in shown if row.run.name == name]
        if means:
            ends = min(group) - 0.5, max(group) + 0.5
            axis.plot(means * 2, ends, color='black', linestyle='--', linewidth=1)


def _ends(row: Row, metric: str) -> tuple[float, float]:
    """The least and the greatest that a row shows."""
    of = row.last[metric]
    reach = of.std or 0.0
    values = [of.mean - reach, of.mean + reach, *row.by_seed.values()]
    return min(values), max(values)


def _legend(has_spread: bool, has_baseline: bool) -> list[Line2D]:
    def dot(size: float, colour: str, label: str) -> Line2D:
        look = dict(markersize=size, markerfacecolor=colour, markeredgecolor='black')
        return Line2D([], [], linestyle='', marker='o', label=label, **look)

    handles = [dot(8, METHOD, 'mean ± standard deviation' if has_spread else 'mean')]
    handles.append(dot(3.5, 'white', 'each seed'))
    if has_baseline:
        handles.append(Line2D([], [], color='black', linestyle='--', linewidth=1, label='baseline'))
    return handles
