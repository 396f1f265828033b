"""The tables of SUITE.md."""

from collections.abc import Sequence
from typing import Optional

from ...utils.measure import markdown_table
from ..suites.definition import Suite
from .summary import Row, Spread, by_group

UNCLEAR = 'n.d.'


def tables(suite: Suite, table: Sequence[Row], notes: dict[str, int]) -> list[str]:
    """The paragraphs: one table, or one a group under its heading.

    Runs without a group come first, then how the groups compare, then the groups.

    Args:
        suite: what was asked for.
        table: all runs.
        notes: the number of each note.
    """
    groups = by_group(table)
    rest = groups.pop(None, [])
    parts = [run_table(suite, rest, notes)] if rest else []
    parts += _summary(suite.metric, groups)
    for group, of in groups.items():
        parts += [f'## {group}', run_table(suite, of, notes)]
    return parts


def _summary(metric: str, groups: dict[str, list[Row]]) -> list[str]:
    """Labels x groups, where groups have labels in common."""
    labels = [dict.fromkeys(row.run.label for row in of) for of in groups.values()]
    every = list(dict.fromkeys(label for of in labels for label in of))
    if not any(sum(label in of for of in labels) > 1 for label in every):
        return []
    lines = [[label, *(_result(of, label, metric) for of in groups.values())] for label in every]
    has_paper = any(row.run.paper is not None for of in groups.values() for row in of)
    title = f'Last {metric} by group' + (", in brackets the paper's:" if has_paper else ':')
    return [title, markdown_table(['run', *groups], lines)]


def _result(group: Sequence[Row], label: str, metric: str) -> str:
    """Of a group's run of this label; empty where it has none."""
    texts = []
    for row in group:
        if row.run.label != label:
            continue
        paper = '' if row.run.paper is None else f'(paper {row.run.paper:.2f})'
        texts.append(f'{spread(row.last.get(metric))} {paper}'.strip())
    return '; '.join(filter(None, texts))


def run_table(suite: Suite, table: Sequence[Row], notes: dict[str, int]) -> str:
    """A line for each run.

    Args:
        suite: whose metric comes first.
        table: the runs of this table.
        notes: the number of each note.
    """
    extra = _extra_metrics(suite, table)
    names = [suite.metric, *extra]
    has_paper = any(row.run.paper is not None for row in table)
    baselines = list(dict.fromkeys(row.run.baseline for row in table if row.run.baseline))
    over = suite.runs[baselines[0]].label if len(baselines) == 1 else 'the baseline'
    header = ['run', 'seeds', *(f'{which} {n}' for n in names for which in ('last', 'best'))]
    if baselines:
        header += [f'gain over {over}'] + ['baseline'] * (len(baselines) > 1)
    header += ['minutes per run', 'peak MiB']
    header += ['paper (its own training)'] * has_paper
    lines = []
    for row in table:
        mark = '' if row.run.note is None else f'<sup>{notes[row.run.note]}</sup>'
        line = [f'{row.run.label}{mark}', _seeds(row)]
        for name in names:
            line += [spread(row.last.get(name)), spread(row.best.get(name))]
        if baselines:
            line.append(_gain(row))
        if len(baselines) > 1:
            own = row.run.baseline
            line.append('' if own is None else suite.runs[own].label)
        line.append('' if row.seconds is None else f'{row.seconds.mean / 60:.1f}')
        line.append('' if row.peak_mib is None else f'{row.peak_mib:,.0f}')
        if has_paper:
            line.append('' if row.run.paper is None else f'{row.run.paper:.2f}')
        lines.append(line)
    return markdown_table(header, lines)


def _extra_metrics(suite: Suite, table: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(name for row in table for name in row.last)
    return [name for name in names if name != suite.metric]


def _seeds(row: Row) -> str:
    done, asked = len(row.finished), len(row.outcomes)
    return str(done) if done == asked else f'{done} of {asked}'


def spread(of: Optional[Spread], sign: str = '') -> str:
    """``mean ± std``; empty of none."""
    if of is None:
        return ''
    text = f'{of.mean:{sign}.2f}'
    return text if of.std is None else f'{text} ± {of.std:.2f}'


def _gain(row: Row) -> str:
    if row.gain is None:
        return ''
    text = spread(row.gain, '+')
    if row.gain.interval is not None:
        lower, upper = row.gain.interval
        text += f' [{lower:.2f}, {upper:.2f}]' + f' {UNCLEAR}' * (lower <= 0 <= upper)
    if row.gain.count < len(row.finished):
        text += f' ({row.gain.count} of {len(row.finished)} seeds)'
    return text
