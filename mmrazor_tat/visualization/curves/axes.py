"""Which axes a figure of runs has, what is on them, their scale and labels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ...utils.metrics import main_metric
from . import series as curves
from .run import Run
from .series import Series


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        run: its number among the runs; None: the line is the same for all of them.
        name: what it shows, such as a loss; lines of one name have one style.
        series: its points.
    """

    run: Optional[int]
    name: str
    series: Series


@dataclass(frozen=True)
class AxisContent:
    """Lines that share their axes.

    Attributes:
        title: of the content.
        lines: at least one, none of them empty.
        kind: 'loss' (of any magnitude), 'share' (of 1), 'setting' (known before, often the same in
            all runs) or 'metric'.
        smooth: whether noise is to be averaged out.
        names: of its lines, each once.
    """

    title: str
    lines: list[Line]
    kind: str = 'metric'
    smooth: bool = False
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'names', list(dict.fromkeys(line.name for line in self.lines)))


def axes_of(runs: Sequence[Run], metric: Optional[str] = None) -> list[AxisContent]:
    """The axes for which there are data.

    Args:
        runs: to compare.
        metric: of the validations; None: mIoU or accuracy/top1, where there is one.

    Raises:
        ValueError: no validation of any run has ``metric``; one that was not asked for may lack.
    """
    axes = [
        _losses(runs),
        _named(runs, 'distillation losses (weighted)', curves.distillation_losses, 'loss'),
        _named(runs, 'share of the total loss', curves.loss_shares, 'share'),
        _parts(runs),
        _setting(runs, AxisContent('learning rate', _lines(runs, 'lr', curves.learning_rate))),
        _metric(runs, metric),
        *_gradients(runs),
        _setting(runs, _named(runs, 'scheduled factor', curves.loss_factors, 'setting')),
    ]
    return [content for content in axes if content.lines]


def _lines(runs: Sequence[Run], name: str, series_of: Callable[[Run], Series]) -> list[Line]:
    lines = [Line(n, name, series_of(run)) for n, run in enumerate(runs)]
    return [line for line in lines if line.series.values]


def _named(
    runs: Sequence[Run],
    title: str,
    series_of: Callable[[Run], dict[str, Series]],
    kind: str,
) -> AxisContent:
    lines = [
        Line(n, name, series)
        for n, run in enumerate(runs)
        for name, series in series_of(run).items()
        if series.values
    ]
    return AxisContent(title, lines, kind, smooth=True)


def _losses(runs: Sequence[Run]) -> AxisContent:
    """The task's; beside it the total where that is more, or all that is known."""
    task = _lines(runs, 'task', curves.task_loss)
    alone = {line.run for line in task if not curves.distillation_losses(runs[line.run])}
    total = [line for line in _lines(runs, 'total', curves.total_loss) if line.run not in alone]
    title = 'task loss and total loss' if task and total else 'loss'
    return AxisContent(title, task + total, 'loss', smooth=True)


def _parts(runs: Sequence[Run]) -> AxisContent:
    """None where the only part of a loss is the loss."""
    parts = [curves.loss_parts(run) for run in runs]
    if all(len(of_run) < 2 for of_run in parts):
        return AxisContent('', [])
    return _named(runs, 'parts of the distillation losses', curves.loss_parts, 'loss')


def _setting(runs: Sequence[Run], content: AxisContent) -> AxisContent:
    """One line for all runs where they have the same, as far as each goes."""
    lines = []
    for name in content.names:
        own = [line for line in content.lines if line.name == name]
        longest = max((line.series for line in own), key=lambda series: series.iterations[-1])
        schedule = dict(zip(*longest))
        points = [point for line in own for point in zip(*line.series)]
        same = all(schedule.get(iteration) == value for iteration, value in points)
        lines += [Line(None, name, longest)] if same and len(own) == len(runs) > 1 else own
    is_common = bool(lines) and all(line.run is None for line in lines)
    return AxisContent(content.title + ', the same in all runs' * is_common, lines, 'setting')


def _gradients(runs: Sequence[Run]) -> list[AxisContent]:
    """One for each record of the student."""
    shares = [curves.gradient_shares(run) for run in runs]
    recorders = list(dict.fromkeys(name for of_run in shares for name in of_run))

    def of(recorder: str) -> Callable[[Run], dict[str, Series]]:
        return lambda run: curves.gradient_shares(run).get(recorder, {})

    return [
        _named(runs, f'share of the gradient at {recorder}', of(recorder), 'share')
        for recorder in recorders
    ]


def _metric(runs: Sequence[Run], metric: Optional[str]) -> AxisContent:
    logged = dict.fromkeys(key for run in runs for line in run.validation for key in line)
    known = [key for key in logged if key not in ('step', 'iter', 'time', 'data_time')]
    name = metric or main_metric(known)
    lines = _lines(runs, 'student', lambda run: curves.series(run.validation, name))
    if not lines and metric is not None:
        raise ValueError(
            f'metric {metric!r} is in no validation of these runs; '
            + (f'there are {", ".join(known)}' if known else 'there is no validation yet')
        )
    teachers = _lines(runs, 'teacher', lambda run: curves.series(run.validation, f'teacher/{name}'))
    values = {value for line in teachers for value in line.series.values}
    if len(values) == 1:  # one teacher, which does not change: one line along all runs
        ends = [0, max(run.iterations for run in runs)]
        teachers = [Line(None, 'teacher', Series(ends, [*values] * 2))]
    return AxisContent(f'validation {name}', lines + teachers)


# From the least to the greatest: more than this reads better on a logarithmic axis.
_LOG_RANGE = 12
# A smaller difference than this part of the metric fills no axis: it would look large.
_LEAST_SPAN = 0.05


def set_scale(axis: Axes, content: AxisContent) -> None:
    """Logarithmic for losses of several magnitudes, else from 0 for all but metrics.

    A loss of 0 has no place on a logarithmic axis: there its line has a gap.
    """
    values = [v for line in content.lines for v in line.series.values if not math.isnan(v)]
    if not values:
        return
    least, greatest = min(values), max(values)
    positive = [value for value in values if value > 0]
    if content.kind == 'loss' and least >= 0 and positive and greatest > _LOG_RANGE * min(positive):
        _set_logarithmic(axis, greatest / min(positive))
        return
    axis.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    if content.kind == 'share':
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{100 * value:g}%'))
    if content.kind == 'metric':
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


def labels_of(runs: Sequence[Run]) -> list[str]:
    """The label of each, else the name of its folder, with as many parents as tell it from others.

    Raises:
        ValueError: two runs have the same label, or the same folder.
    """
    parts = [run.folder.absolute().parts for run in runs]
    names = [run.label or path[-1] for run, path in zip(runs, parts)]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        clashing = [n for n, name in enumerate(names) if names.count(name) > 1]
        for n in clashing:
            if not runs[n].label:
                names[n] = '/'.join(parts[n][-depth:])
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f'two runs are named {name!r}: give them labels')
    return names
