"""The pictures of the report."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..figures import GREY, LINES, ORANGE, SKY, STYLES, save_figure
from .definition import Suite
from .summary import Row

TEACHER, BASELINE, METHOD = GREY, ORANGE, SKY


def plot_bars(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The mean of each run's last values as a dot, with its error bar, and every seed below it.

    No bars from an axis that begins anywhere but at 0: their lengths would exaggerate.
    """
    shown = [row for row in table if row.by_seed]
    teachers, baselines = _roles(suite)
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.42 * len(shown)), layout='constrained')
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
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(min(ends) - 0.05 * span, max(ends) + 0.15 * span)
    axis.set_xlabel(f'last {suite.metric}')
    axis.grid(axis='x', color='#DDDDDD', linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    handles = _legend(
        has_spread=any(row.last[suite.metric].std is not None for row in shown),
        has_baseline=any(row.run.name in baselines for row in shown),
    )
    figure.legend(
        handles=handles, loc='outside upper right', ncols=len(handles), frameon=False, fontsize=9
    )
    save_figure(figure, path)


def plot_curves(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The metric against iterations: the mean over the seeds, from the least to the greatest."""
    shown = [row for row in table if row.by_seed]
    teachers, baselines = _roles(suite)
    figure, axis = plt.subplots(figsize=(8, 4.6), layout='constrained')
    number = 0
    for row in shown:
        if row.run.name in teachers:
            axis.axhline(
                row.last[suite.metric].mean,
                color='black',
                linestyle='--',
                linewidth=1,
                label=row.run.label,
            )
            continue
        curves = [dict(map(tuple, o.metrics[suite.metric]['curve'])) for o in row.finished]
        steps = sorted(set.intersection(*map(set, curves)))
        if not steps:
            continue
        at = [[curve[step] for curve in curves] for step in steps]
        if row.run.name in baselines:
            colour = ORANGE
            style = STYLES[baselines.index(row.run.name) % len(STYLES)]
        else:
            colour = LINES[number % len(LINES)]
            style = STYLES[number // len(LINES) % len(STYLES)]
            number += 1
        axis.plot(
            steps,
            [sum(values) / len(values) for values in at],
            color=colour,
            linestyle=style,
            marker='o' if len(steps) < 12 else None,
            markersize=4,
            label=row.run.label,
        )
        if len(curves) > 1:
            axis.fill_between(
                steps,
                list(map(min, at)),
                list(map(max, at)),
                color=colour,
                alpha=0.15 if len(shown) < 6 else 0.08,
                linewidth=0,
            )
    axis.set_xlabel(' or '.join(dict.fromkeys(_unit(row) for row in shown)))
    axis.set_ylabel(f'{suite.metric}: mean, least to greatest of the seeds')
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 2.5, 5, 10]))
    axis.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside right upper', frameon=False, fontsize=9)
    save_figure(figure, path)


def _draw_baselines(axis, shown: Sequence[Row], baselines: list[str], metric: str) -> None:
    """A dashed line at the mean of each baseline, along the runs that are held against it."""
    for name in baselines:
        group = [n for n, row in enumerate(shown) if name in (row.run.name, row.run.baseline)]
        means = [row.last[metric].mean for row in shown if row.run.name == name]
        if means:
            ends = min(group) - 0.5, max(group) + 0.5
            axis.plot(means * 2, ends, color='black', linestyle='--', linewidth=1)


def _roles(suite: Suite) -> tuple[set[str], list[str]]:
    """The runs that teach, and those that gains are counted from."""
    runs = suite.runs.values()
    teachers = {run.teacher for run in runs if run.teacher is not None}
    return teachers, list(dict.fromkeys(run.baseline for run in runs if run.baseline is not None))


def _unit(row: Row) -> str:
    return 'epochs' if row.unit == 'epoch' else 'iterations'


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
