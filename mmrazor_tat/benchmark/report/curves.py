"""The picture of the report that shows how runs came to their values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...utils.metrics import metric_title
from ...visualization.figures import LINES, ORANGE, STYLES, save_figure
from ..suites.definition import Suite
from .summary import Row, by_group, has_groups, roles

_COLUMNS = 2  # of panels, where there are groups
_SHOWN = 'mean, least to greatest of the seeds'


def plot_curves(suite: Suite, table: Sequence[Row], path: Path) -> None:
    """The metric against iterations: the mean over the seeds, from the least to the greatest.

    A group is an axis; runs of one label have one look in all of them.
    """
    shown = [row for row in table if row.by_seed]
    if not has_groups(shown):
        figure, axis = plt.subplots(figsize=(8, 4.6), layout='constrained')
        _axis(axis, suite, shown, shown, _Looks())
        _name_axes(axis, f'{metric_title(suite.metric)}: {_SHOWN}', shown)
        figure.legend(loc='outside right upper', frameon=False, fontsize=9)
        save_figure(figure, path)
        return
    teachers, _ = roles(suite)
    panels = by_group(shown)
    if all(row.run.name in teachers for row in panels.get(None, [])):
        panels.pop(None, None)  # they are lines in the panels of their students
    columns = min(_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    size = (2.2 + 5.2 * columns, 0.4 + 3.6 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout='constrained', squeeze=False)
    looks, legend = _Looks(by_label=True), {}
    for axis, (group, of) in zip(axes.flat, panels.items()):
        _axis(axis, suite, of, shown, looks)
        _name_axes(axis, metric_title(suite.metric), of)
        axis.set_title(group or '', loc='left', fontsize=11)
        for handle, label in zip(*axis.get_legend_handles_labels()):
            legend.setdefault(label, handle)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    figure.legend(
        legend.values(),
        legend.keys(),
        loc='outside right upper',
        frameon=False,
        fontsize=9,
        title=_SHOWN.replace(', ', ',\n'),
        title_fontsize=9,
        alignment='left',
    )
    save_figure(figure, path)


@dataclass
class _Looks:
    """Colour and style of each line, given out in order.

    Args:
        by_label: runs of one label look alike.
    """

    by_label: bool = False
    _methods: list[str] = field(default_factory=list)
    _baselines: list[str] = field(default_factory=list)

    def of(self, row: Row, baselines: Sequence[str]) -> dict:
        is_baseline = row.run.name in baselines
        if not self.by_label and is_baseline:  # also those that are not finished have a place
            number = baselines.index(row.run.name)
        else:
            given = self._baselines if is_baseline else self._methods
            key = row.run.label if self.by_label else row.run.name
            if key not in given:
                given.append(key)
            number = given.index(key)
        if is_baseline:
            return dict(color=ORANGE, linestyle=STYLES[number % len(STYLES)])
        style = STYLES[number // len(LINES) % len(STYLES)]
        return dict(color=LINES[number % len(LINES)], linestyle=style)


def _axis(
    axis: Axes, suite: Suite, rows: Sequence[Row], all_rows: Sequence[Row], looks: _Looks
) -> None:
    """Draw runs, and the teachers that they have or are."""
    teachers, baselines = roles(suite)
    own = {row.run.name for row in rows} | {row.run.teacher for row in rows}
    for row in all_rows:
        if row.run.name in teachers & own:
            axis.axhline(
                row.last[suite.metric].mean,
                color='black',
                linestyle='--',
                linewidth=1,
                label='teacher' if looks.by_label else row.run.label,
            )
    for row in rows:
        if row.run.name in teachers:
            continue
        curves = [dict(map(tuple, o.metrics[suite.metric]['curve'])) for o in row.finished]
        steps = sorted(set.intersection(*map(set, curves)))
        if not steps:
            continue
        at = [[curve[step] for curve in curves] for step in steps]
        look = looks.of(row, baselines)
        axis.plot(
            steps,
            [sum(values) / len(values) for values in at],
            **look,
            marker='o' if len(steps) < 12 else None,
            markersize=4,
            label=row.run.label,
        )
        if len(curves) > 1:
            axis.fill_between(
                steps,
                list(map(min, at)),
                list(map(max, at)),
                color=look['color'],
                alpha=0.15 if len(rows) < 6 else 0.08,
                linewidth=0,
            )


def _name_axes(axis: Axes, values: str, rows: Sequence[Row]) -> None:
    axis.set_xlabel(' or '.join(dict.fromkeys(_unit(row) for row in rows)))
    axis.set_ylabel(values)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 2.5, 5, 10]))
    axis.spines[['top', 'right']].set_visible(False)


def _unit(row: Row) -> str:
    return 'epochs' if row.unit == 'epoch' else 'iterations'
