"""Which axes a figure of runs has, and what is on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import pandas as pd

from ...models.distillers.records import name_for_log
from ...utils.metrics import main_metric
from ...utils.work_dir import NO_METRICS
from .run import Run, series

_DISTILL, _SHARE, _FACTOR, _BALANCE = 'distill.', 'grad_share/', 'factor/', 'balance/'
_LOSSES, _RATE, _FACTORS = 'task loss and total loss', 'learning rate', 'scheduled factor'
_PARTS, _VALIDATION = 'parts of the distillation losses', 'validation '


class Line(NamedTuple):
    """One curve; lines of one name have one style."""

    run: Optional[int]  # its number; None: the line is the same for all of them
    name: str  # what it shows, such as a loss
    series: pd.Series  # by iteration; NaN where what was logged is no finite number


@dataclass(frozen=True)
class AxisContent:
    """Lines that share their axes: losses of any magnitude, shares of 1, settings that are known
    before and often the same in all runs, or metrics."""

    title: str
    lines: list[Line]  # none of them empty
    kind: str  # 'loss', 'share', 'setting' or 'metric'

    @property
    def names(self) -> list[str]:
        """Of its lines, each once."""
        return list(dict.fromkeys(line.name for line in self.lines))


def axes_of(runs: Sequence[Run], metric: Optional[str] = None) -> list[AxisContent]:
    """The axes for which there are data.

    Args:
        runs: to compare.
        metric: of the validations; None: mIoU or accuracy/top1, where there is one.

    Raises:
        ValueError: no validation of any run has ``metric``; one that was not asked for may lack.
    """
    logged = dict.fromkeys(key for run in runs for key in run.validation)
    known = [key for key in logged if key not in NO_METRICS]
    if metric is not None and metric not in known:
        there = f'there are {", ".join(known)}' if known else 'there is no validation yet'
        raise ValueError(f'metric {metric!r} is in no validation of these runs; {there}')
    tables = [columns_of(run, metric or main_metric(known)) for run in runs]
    contents = []
    # In the order of the run that has the most.
    longest_first = sorted(tables, key=len, reverse=True)
    for title in dict.fromkeys(title for of in longest_first for title in of):
        lines = [
            Line(number, name, series(of[title], name))
            for number, of in enumerate(tables)
            for name in of.get(title, ())
        ]
        lines = [line for line in lines if len(line.series)]
        if title == _LOSSES:
            lines.sort(key=lambda line: line.name)  # the totals after all tasks'
            title = title if len({line.name for line in lines}) > 1 else 'loss'
        if title == _PARTS and all(of[title].shape[1] < 2 for of in tables):
            continue  # the only part of a loss is the loss
        kind = 'share' if 'share' in title else 'loss'
        if title in (_RATE, _FACTORS):
            lines, kind = _shared(lines, len(runs)), 'setting'
            title += ', the same in all runs' * all(line.run is None for line in lines)
        elif title.startswith(_VALIDATION):
            lines, kind = _one_teacher(lines, runs), 'metric'
        contents.append(AxisContent(title, lines, kind))
    return [content for content in contents if content.lines]


def columns_of(run: Run, metric: str = 'mIoU') -> dict[str, pd.DataFrame]:
    """What a run logged, a table for each axis, by the axis' title.

    A task loss is the sum of all that are not distillation's, as mmengine adds them. mmengine logs
    a loss as the mean since the line before, a part of one as it is at the iteration of the line:
    the parts add up to a loss only on average. What a share lacks to 1 is the task's.
    """
    table, names = run.training, list(run.training)

    def take(start: str, chosen: list[str]) -> pd.DataFrame:
        return table[chosen].rename(columns=lambda name: name[len(start) :])

    # By mmengine's rule: it adds up what has 'loss' in its name, as 'loss'.
    own = [name for name in names if not name.startswith((_SHARE, _FACTOR, _BALANCE))]
    losses = [name for name in own if 'loss' in name and name != 'loss']
    distilled = [name for name in losses if name.startswith(_DISTILL)]
    of_task = [name for name in losses if name not in distilled]
    both = pd.DataFrame(index=table.index)
    if of_task:
        both['task'] = table[of_task].sum(axis=1, min_count=1)
    if 'loss' in names and (distilled or not of_task):
        both['total'] = table['loss']
    weighted = take(_DISTILL, distilled).rename(columns=lambda n: name_for_log(n) or 'distill')
    shares = weighted
    if distilled:
        # 0 / 0 is no number, and was logged.
        shares = weighted.div(table['loss'], axis=0).fillna(float('inf')).where(weighted.notna())
    parts = [name for name in own if name.startswith(_DISTILL) and name not in losses]
    rates = [name for name in names if name == 'lr' or name.endswith('.lr')]
    rates.sort(key=lambda name: name != 'lr')  # with several optimizers of the first
    validated = {metric: 'student', f'teacher/{metric}': 'teacher'}
    logged = [name for name in validated if name in run.validation]
    found = {
        _LOSSES: both,
        'distillation losses (weighted)': weighted,
        'share of the total loss': shares,
        _PARTS: take(_DISTILL, parts),
        _RATE: table[rates[:1]].set_axis(['lr'][: len(rates)], axis=1),
        _VALIDATION + metric: run.validation[logged].rename(columns=validated),
    }
    for name in (name for name in names if name.startswith(_SHARE)):
        recorder, loss = name[len(_SHARE) :].rsplit('/', 1)
        if loss != 'task':
            title = f'share of the gradient at {recorder}'
            found.setdefault(title, pd.DataFrame(index=table.index))
            found[title][name_for_log(loss) or loss] = table[name]
    for title, start in (('balancing factor', _BALANCE), (_FACTORS, _FACTOR)):
        found[title] = take(start, [name for name in names if name.startswith(start)])
    return found


def _shared(all_lines: list[Line], count: int) -> list[Line]:
    """One line for all runs where they have the same, as far as each goes."""
    lines = []
    for name in dict.fromkeys(line.name for line in all_lines):
        own = [line for line in all_lines if line.name == name]
        longest = max((line.series for line in own), key=lambda one: one.index[-1])
        same = all(line.series.equals(longest.reindex(line.series.index)) for line in own)
        lines += [Line(None, name, longest)] if same and len(own) == count > 1 else own
    return lines


def _one_teacher(lines: list[Line], runs: Sequence[Run]) -> list[Line]:
    """The students', then the teachers': one that does not change is one line along all runs."""
    students = [line for line in lines if line.name == 'student']
    teachers = [line for line in lines if line.name == 'teacher']
    values = {value for line in teachers for value in line.series}
    if len(values) == 1:
        ends = [0, max(run.iterations for run in runs)]
        teachers = [Line(None, 'teacher', pd.Series([*values] * 2, ends))]
    return students + teachers
