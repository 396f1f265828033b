"""The report of a suite as text."""

from collections.abc import Sequence
from typing import Any, Optional
from urllib.parse import quote

import pandas as pd

from ...utils.measure import machine_line, markdown_table
from ..execution import records
from ..suites import Suite
from .summary import NOT_RUN, Row, Spread, by_group, metrics_of

UNCLEAR = 'n.d.'


def as_markdown(
    suite: Suite,
    table: Sequence[Row],
    command: str,
    with_plots: bool = True,
    with_other_settings: Sequence[str] = (),
) -> str:
    """SUITE.md."""
    lines = pd.concat([row.seeds for row in table])
    notes = list(dict.fromkeys(row.run.note for row in table if row.run.note is not None))
    numbers = {note: number for number, note in enumerate(notes, start=1)}
    found = list(lines.record)
    machines = dict.fromkeys(machine_line(of['machine']) for of in found if of.get('machine'))
    where = f'Run on {"; ".join(machines) or "no machine yet"}.'
    parts = [f'# {suite.title}', f'{where} {provenance(found)}'.strip(), f'`{command}`']
    groups = by_group(table)
    rest = groups.pop(None, [])
    parts += [run_table(suite, rest, numbers)] if rest else []
    parts += _comparison(suite.metric, groups)
    for group, of in groups.items():
        parts += [f'## {group}', run_table(suite, of, numbers)]
    parts += ['## Notes'] if groups else []  # they are of all groups
    parts += [f'<sup>{number}</sup> {note}' for note, number in numbers.items()]
    parts += _caution(suite, table)
    if with_other_settings:
        parts.append(
            'Made with other settings than the suite now asks for, so not to be compared: '
            f'{", ".join(with_other_settings)}.'
        )
    done = lines[lines.status == records.FINISHED].itertuples()
    resumed = [f'{line.run} seed {line.seed}' for line in done if line.record.get('resumed')]
    if resumed:
        parts.append(
            'Resumed after an interruption, with the random numbers of a run without one, but not '
            f'bit by bit the same where kernels are not deterministic: {", ".join(resumed)}.'
        )
    if with_plots:
        name = quote(suite.name)
        parts.append(f'![{suite.metric} of every run, with its seeds]({name}_bars.png)')
        parts.append(f'![{suite.metric} against iterations]({name}_curves.png)')
    unfinished = lines[lines.status != records.FINISHED]
    if len(unfinished):
        parts += ['## Not finished', '\n'.join(_unfinished(unfinished))]
    return '\n\n'.join(parts) + '\n'


def run_table(suite: Suite, table: Sequence[Row], notes: dict[str, int]) -> str:
    """A line for each run; ``notes``: the number of each."""
    names = metrics_of(pd.concat([row.finished for row in table]), suite.metric)
    baselines = list(dict.fromkeys(row.run.baseline for row in table if row.run.baseline))
    over = suite.runs[baselines[0]].label if len(baselines) == 1 else 'the baseline'
    columns = ['run', 'seeds', *(f'{which} {n}' for n in names for which in ('last', 'best'))]
    columns += [f'gain over {over}', 'baseline', 'minutes per run', 'peak MiB']
    columns += ['paper (its own training)']
    has_paper = any(row.run.paper is not None for row in table)
    shown = {'baseline': len(baselines) > 1, columns[-5]: baselines, columns[-1]: has_paper}
    lines = []
    for row in table:
        mark = '' if row.run.note is None else f'<sup>{notes[row.run.note]}</sup>'
        done, asked = len(row.finished), len(row.seeds)
        line = [f'{row.run.label}{mark}', str(done) if done == asked else f'{done} of {asked}']
        for name in names:
            line += [spread(row.last.get(name)), spread(row.best.get(name))]
        base = suite.runs[row.run.baseline].label if row.run.baseline else ''
        minutes, peak = row.finished.seconds.mean() / 60, row.finished.peak_mib.max()
        line += [_gain(row), base, _number(minutes, '.1f'), _number(peak, ',.0f')]
        lines.append([*line, _number(row.run.paper, '.2f')])
    found = pd.DataFrame(lines, columns=columns)
    found = found.drop(columns=[name for name, is_shown in shown.items() if not is_shown])
    return markdown_table(list(found), found.values.tolist())


def _comparison(metric: str, groups: dict[str, list[Row]]) -> list[str]:
    """Labels x groups, where groups have labels in common."""
    cells: dict[str, dict[str, list[str]]] = {}
    for group, rows in groups.items():
        for row in rows:
            paper = '' if row.run.paper is None else f'(paper {row.run.paper:.2f})'
            text = f'{spread(row.last.get(metric))} {paper}'.strip()
            cells.setdefault(row.run.label, {}).setdefault(group, []).append(text)
    if not any(len(of) > 1 for of in cells.values()):
        return []
    lines = [
        [label, *('; '.join(filter(None, of.get(group, ()))) for group in groups)]
        for label, of in cells.items()
    ]
    has_paper = any(row.run.paper is not None for rows in groups.values() for row in rows)
    title = f'Last {metric} by group' + (", in brackets the paper's:" if has_paper else ':')
    return [title, markdown_table(['run', *groups], lines)]


def _number(value: Optional[float], form: str) -> str:
    return '' if value is None or pd.isna(value) else f'{value:{form}}'


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


def _caution(suite: Suite, table: Sequence[Row]) -> list[str]:
    teachers = {run.teacher for run in suite.runs.values()}
    held = [row for row in table if row.run.name not in teachers] or table
    counts = sorted({len(row.finished) for row in held if len(row.finished)})
    if not counts:
        return ['No run that is to be compared has finished yet.']
    few = str(counts[0]) if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
    parts = ['One seed a run.' if counts == [1] else f'{few} seeds a run.']
    if counts[-1] > 1:
        parts.append('Mean ± standard deviation over the seeds.')
    parts.append('Minutes are those of the whole process, imports and validation included.')
    gains = [row for row in table if row.gain is not None]
    return [' '.join(parts)] + ([' '.join(_about_gains(gains))] if gains else [])


def _about_gains(gains: Sequence[Row]) -> list[str]:
    intervals = [row.gain.interval for row in gains if row.gain.interval is not None]
    how = 'One seed shows no spread, so there is no interval, and a difference may mean nothing.'
    parts = [
        'A gain is the mean of the differences of the last values, seed by seed, ± their standard '
        'deviation.',
        'In brackets its 95 % confidence interval (t, over the seeds).' if intervals else how,
    ]
    if any(lower <= 0 <= upper for lower, upper in intervals):
        parts.append(f'{UNCLEAR}: it holds 0, the gain is not distinguishable from 0.')
    if 0 < len(intervals) < len(gains):
        parts.append('A gain of one seed has none and may mean nothing.')
    if len(intervals) > 1:
        parts.append(
            f'Each of the {len(intervals)} intervals misses the true gain with a chance of 5 %, so '
            'some miss it by chance; nothing is corrected for their number.'
        )
    # Whether all seeds of a run learn from the same weights, a run's or a given checkpoint's.
    settings = [[of.get('settings', {}) for of in row.finished.record] for row in gains]
    keys = 'suite.teacher', 'model.teacher_ckpt'
    teachers = [{of.get(keys[0], of.get(keys[1])) for of in run} for run in settings]
    if any(len(of - {None, 'None'}) == 1 for of in teachers):
        parts.append(
            'The teacher is one training with one seed: how much another one would change the '
            'gains is in no spread and no interval.'
        )
    return parts


def _unfinished(lines: pd.DataFrame) -> list[str]:
    """A line for each that was begun, one for all that were not run."""
    found = []
    for line in lines[lines.status != NOT_RUN].itertuples():
        error = f': {line.error}' if line.error else ''
        text = f'* {line.run} seed {line.seed}: {line.status}{error}'
        log = f' ([log](runs/{line.run}/seed{line.seed}/run.log))'
        found.append(text + log * (line.status == records.FAILED))
    runs = [
        f'{run} seed{"s" * (len(of) > 1)} {", ".join(map(str, of.seed))}'
        for run, of in lines[lines.status == NOT_RUN].groupby('run', sort=False)
    ]
    return found + [f'* not run: {"; ".join(runs)}'] * bool(runs)


def provenance(found: Sequence[dict[str, Any]]) -> str:
    """Sentences about versions and commits; empty where the records do not tell."""
    made = pd.Series([of['commit'] for of in found if of.get('commit')], dtype=str)
    # Ten digits, and the + of changes that were not committed.
    commits = made.str.replace(r'^(.{10})[^+]*', r'\1', regex=True).value_counts(sort=False)
    versions = dict.fromkeys(
        ', '.join(f'{name} {of}' for name, of in record['versions'].items() if of)
        for record in found
        if record.get('versions')
    )
    made_with = [' or '.join(versions)] if versions else []
    made_with += [f'commit {commits.index[0]}'] if len(commits) == 1 else []
    parts = [f'Made with {", ".join(made_with)}.'] if made_with else []
    if len(versions) > 1:
        parts.append('The runs had several versions: differences may come from these.')
    if len(commits) > 1:
        of = [f'{name} ({count} run{"s" * (count > 1)})' for name, count in commits.items()]
        parts.append(
            f'The runs had several commits, differences may come from these: {", ".join(of)}.'
        )
    if any(name.endswith('+') for name in commits.index):
        parts.append('+: with changes that were not committed.')
    return ' '.join(parts)
