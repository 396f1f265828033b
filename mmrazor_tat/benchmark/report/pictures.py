"""The pictures of the report: the last values, and how the runs came to them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...utils.metrics import metric_title
from ...visualization.figures import GREY, LINES, ORANGE, SKY, STYLES, save_figure
from ..suites import Suite
from .summary import Row, by_group, roles

TEACHER, BASELINE, METHOD = GREY, ORANGE, SKY


def plot_bars(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The mean of each run's last values as a dot, with its error bar, and every seed below it.

    No bars from an axis that begins anywhere but at 0: their lengths would exaggerate. A group is
    an axis of its own.
    """
    dot = dict(linestyle='', marker='o', markeredgecolor='black')
    handles = [
        Line2D([], [], ms=8, mfc=METHOD, label='mean ± standard deviation', **dot),
        Line2D([], [], ms=3.5, mfc='white', label='each seed', **dot),
        Line2D([], [], color='black', linestyle='--', linewidth=1, label='baseline'),
    ]
    sizes = [len(of) for of in by_group(row for row in table if row.by_seed).values()]
    figure = _figure(suite, table, _bars, 0.9 + 0.42 * max(sizes))
    figure.legend(handles=handles, loc='outside upper right', ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)


def plot_curves(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The metric against iterations: the mean over the seeds, from the least to the greatest."""
    # Teachers are lines on the axes of their students.
    figure = _figure(suite, table, _curves, 4.2, roles(suite)[0])
    found = [axis.get_legend_handles_labels() for axis in figure.axes]
    handles = {label: handle for of in found for handle, label in zip(*of)}
    look = dict(loc='outside right upper', frameon=False, fontsize=9, title_fontsize=9)
    title = 'mean, least to\ngreatest of the seeds'
    figure.legend(handles.values(), handles.keys(), title=title, **look)
    save_figure(figure, path)


def _figure(
    suite: Suite,
    table: Sequence[Row],
    draw: Callable,
    height: float,
    teachers: Collection[str] = (),
) -> plt.Figure:
    """An axis for each group that is not of ``teachers`` alone, two in a line."""
    groups = by_group(row for row in table if row.by_seed)
    shown = {k: of for k, of in groups.items() if {row.run.name for row in of} - set(teachers)}
    groups = shown or groups
    columns = min(2, len(groups))
    lines = -(-len(groups) // columns)
    size = (8.0 if columns == 1 else 13.0, 0.6 + height * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout='constrained', squeeze=False)
    for axis, (group, rows) in zip(axes.flat, groups.items()):
        draw(axis, suite, rows, table)
        axis.spines[['top', 'right']].set_visible(False)
        axis.set_title(group or '', loc='left', fontsize=11)
    for axis in list(axes.flat)[len(groups) :]:
        axis.set_axis_off()
    return figure


def _bars(axis: Axes, suite: Suite, rows: Sequence[Row], _: Sequence[Row]) -> None:
    teachers, baselines = roles(suite)
    for place, row in enumerate(rows):
        of, name = row.last[suite.metric], row.run.name
        colour = TEACHER if name in teachers else BASELINE if name in baselines else METHOD
        if of.std is not None:
            axis.errorbar(of.mean, place, xerr=of.std, color='black', capsize=4, linewidth=1.2)
        axis.scatter(of.mean, place, s=90, color=colour, edgecolor='black', linewidth=0.8, zorder=3)
        seeds = list(row.by_seed.values())  # below the error bar, so that neither hides the other
        look = dict(s=14, facecolor='white', edgecolor='black', linewidth=0.8, zorder=3)
        axis.scatter(seeds, [place + 0.3] * len(seeds), **look)
        right, look = max(of.mean + (of.std or 0.0), *seeds), dict(va='center', fontsize=9)
        axis.annotate(f'{of.mean:.2f}', (right, place), (6, 0), textcoords='offset points', **look)
        if name in baselines:
            held = [
                n for n, other in enumerate(rows) if name in (other.run.name, other.run.baseline)
            ]
            ends = min(held) - 0.5, max(held) + 0.5
            axis.plot([of.mean] * 2, ends, color='black', linestyle='--', linewidth=1)
    axis.set_yticks(range(len(rows)), [row.run.label for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.margins(x=0.12)
    axis.set_xlabel(f'last {metric_title(suite.metric)}')
    axis.grid(axis='x', color='#DDDDDD', linewidth=0.6)
    axis.set_axisbelow(True)


def _curves(axis: Axes, suite: Suite, rows: Sequence[Row], table: Sequence[Row]) -> None:
    teachers, baselines = roles(suite)
    # Runs of one label look alike in all groups.
    others = {*teachers, *baselines}
    labels = list(dict.fromkeys(row.run.label for row in table if row.run.name not in others))
    own = {row.run.name for row in rows} | {row.run.teacher for row in rows}
    for row in table:
        if row.by_seed and row.run.name in teachers & own:
            mean = row.last[suite.metric].mean
            axis.axhline(mean, color='black', linestyle='--', linewidth=1, label='teacher')
    for row in rows:
        if row.run.name in teachers or row.curves.empty:
            continue
        number = baselines.index(row.run.name) if row.run.name in baselines else None
        if number is None:
            at = labels.index(row.run.label)
            colour, style = LINES[at % len(LINES)], STYLES[at // len(LINES) % len(STYLES)]
        else:
            colour, style = ORANGE, STYLES[number % len(STYLES)] if len(rows) == len(table) else '-'
        means = row.curves.mean(axis=1)
        marker = 'o' if len(means) < 12 else None
        axis.plot(means, color=colour, linestyle=style, marker=marker, ms=4, label=row.run.label)
        if row.curves.shape[1] > 1:
            ends = row.curves.min(axis=1), row.curves.max(axis=1)
            axis.fill_between(means.index, *ends, color=colour, alpha=0.1, linewidth=0)
    units = dict.fromkeys('epochs' if row.unit == 'epoch' else 'iterations' for row in rows)
    axis.set_xlabel(' or '.join(units))
    axis.set_ylabel(metric_title(suite.metric))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 2.5, 5, 10]))
