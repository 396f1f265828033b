"""Which axes a figure of runs has, and what is on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import pandas as pd

from ...models.distillers.records import name_for_log
from ...utils.metrics import main_metric
from ...utils.work_dir import NO_METRICS
from .run import Run, series

_DISTILL, _SHARE, _FACTOR = 'distill.', 'grad_share/', 'factor/'


class Line(NamedTuple):
    """One curve.

    Attributes:
        run: its number among the runs; None: the line is the same for all of them.
        name: what it shows, such as a loss; lines of one name have one style.
        series: its points, by iteration; NaN where what was logged is no finite number.
    """

    run: Optional[int]
    name: str
    series: pd.Series


@dataclass(frozen=True)
class AxisContent:
    """Lines that share their axes.

    Attributes:
        title: of the content.
        lines: at least one, none of them empty.
        kind: 'loss' (of any magnitude), 'share' (of 1), 'setting' (known before, often the same in
            all runs) or 'metric'.
    """

    title: str
    lines: list[Line]
    kind: str = 'metric'

    @property
    def names(self) -> list[str]:
        """Of its lines, each once."""
        return list(dict.fromkeys(line.name for line in self.lines))

    @property
    def is_smooth(self) -> bool:
        """Whether noise is to be averaged out."""
        return self.kind in ('loss', 'share')


def columns_of(run: Run) -> dict[str, pd.DataFrame]:
    """What a run logged of its training, a table for each axis, by the axis' title.

    A task loss is the sum of all that are not distillation's, as mmengine adds them. mmengine logs
    a loss as the mean since the line before, a part of one as it is at the iteration of the line:
    the parts add up to a loss only on average. What a share lacks to 1 is the task's.
    """
    table, names = run.training, list(run.training)
    # By mmengine's rule: it adds up what has 'loss' in its name, as 'loss'.
    losses = [n for n in names if 'loss' in n.replace(_SHARE, '') and n != 'loss']
    losses = [name for name in losses if not name.startswith((_SHARE, _FACTOR))]
    distilled = [name for name in losses if name.startswith(_DISTILL)]
    of_task = [name for name in losses if name not in distilled]
    found = {'loss': pd.DataFrame(index=table.index)}
    if of_task:
        found['loss']['task'] = table[of_task].sum(axis=1, min_count=1)
    if 'loss' in names and (distilled or not of_task):
        found['loss']['total'] = table['loss']
    weighted = table[distilled].rename(
        columns=lambda n: name_for_log(n[len(_DISTILL) :]) or 'distill'
    )
    found['distillation losses (weighted)'] = weighted
    if distilled:
        # 0 / 0 is no number, and was logged.
        shares = weighted.div(table['loss'], axis=0).fillna(float('inf'))
        found['share of the total loss'] = shares.where(weighted.notna())
    parts = [n for n in names if n.startswith(_DISTILL) and n not in losses]
    of_parts = table[parts].rename(columns=lambda name: name[len(_DISTILL) :])
    found['parts of the distillation losses'] = of_parts
    rates = [name for name in names if name == 'lr' or name.endswith('.lr')]
    rates.sort(key=lambda name: name != 'lr')  # with several optimizers of the first
    found['learning rate'] = table[rates[:1]].set_axis(['lr'][: len(rates)], axis=1)
    for name in (name for name in names if name.startswith(_SHARE)):
        recorder, loss = name[len(_SHARE) :].rsplit('/', 1)
        if loss != 'task':
            title = f'share of the gradient at {recorder}'
            found.setdefault(title, pd.DataFrame(index=table.index))
            found[title][name_for_log(loss) or loss] = table[name]
    factors = [name for name in names if name.startswith(_FACTOR)]
    found['scheduled factor'] = table[factors].rename(columns=lambda name: name[len(_FACTOR) :])
    return found


def axes_of(runs: Sequence[Run], metric: Optional[str] = None) -> list[AxisContent]:
    """The axes for which there are data.

    Args:
        runs: to compare.
        metric: of the validations; None: mIoU or accuracy/top1, where there is one.

    Raises:
        ValueError: no validation of any run has ``metric``; one that was not asked for may lack.
    """
    tables = [columns_of(run) for run in runs]
    last = ('learning rate', None, 'scheduled factor')  # the metric's place is after the rate
    titles = [title for title in dict.fromkeys(t for of in tables for t in of) if title not in last]
    gradients = [title for title in titles if 'gradient' in title]
    contents = []
    for title in [*(t for t in titles if t not in gradients), *last[:2], *gradients, last[2]]:
        if title is None:
            contents.append(_metric(runs, metric))
            continue
        lines = [
            Line(number, name, series(of[title], name))
            for number, of in enumerate(tables)
            for name in of.get(title, ())
        ]
        lines = [line for line in lines if len(line.series)]
        if title == 'loss':
            lines.sort(key=lambda line: line.name)  # the totals after all tasks'
            title = 'task loss and total loss' if len({line.name for line in lines}) > 1 else title
        if title.startswith('parts') and all(of[title].shape[1] < 2 for of in tables):
            continue  # the only part of a loss is the loss
        if title in last:
            contents.append(_setting(runs, title, lines))
        else:
            contents.append(AxisContent(title, lines, 'share' if 'share' in title else 'loss'))
    return [content for content in contents if content.lines]


def _setting(runs: Sequence[Run], title: str, all_lines: list[Line]) -> AxisContent:
    """One line for all runs where they have the same, as far as each goes."""
    lines = []
    for name in dict.fromkeys(line.name for line in all_lines):
        own = [line for line in all_lines if line.name == name]
        longest = max((line.series for line in own), key=lambda one: one.index[-1])
        same = all(line.series.equals(longest.reindex(line.series.index)) for line in own)
        lines += [Line(None, name, longest)] if same and len(own) == len(runs) > 1 else own
    is_common = bool(lines) and all(line.run is None for line in lines)
    return AxisContent(title + ', the same in all runs' * is_common, lines, 'setting')


def _metric(runs: Sequence[Run], metric: Optional[str]) -> AxisContent:
    logged = dict.fromkeys(key for run in runs for key in run.validation)
    known = [key for key in logged if key not in NO_METRICS]
    name = metric or main_metric(known)
    lines = [Line(n, 'student', series(run.validation, name)) for n, run in enumerate(runs)]
    lines = [line for line in lines if len(line.series)]
    if not lines and metric is not None:
        raise ValueError(
            f'metric {metric!r} is in no validation of these runs; '
            + (f'there are {", ".join(known)}' if known else 'there is no validation yet')
        )
    of_teacher = [series(run.validation, f'teacher/{name}') for run in runs]
    teachers = [Line(n, 'teacher', of) for n, of in enumerate(of_teacher) if len(of)]
    values = {value for of in of_teacher for value in of}
    if len(values) == 1:  # one teacher, which does not change: one line along all runs
        ends = [0, max(run.iterations for run in runs)]
        teachers = [Line(None, 'teacher', pd.Series([*values] * 2, ends))]
    return AxisContent(f'validation {name}', lines + teachers)
