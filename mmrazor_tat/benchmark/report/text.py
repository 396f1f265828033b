"""The report of a suite as text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ...utils.measure import machine_line
from ..execution import records
from ..suites.definition import Suite
from .summary import NOT_RUN, Outcome, Row, has_groups
from .tables import UNCLEAR, tables


def as_markdown(
    suite: Suite,
    table: Sequence[Row],
    command: str,
    with_plots: bool = True,
    with_other_settings: Sequence[str] = (),
) -> str:
    """SUITE.md."""
    parts = [f'# {suite.title}', '\n'.join(_preamble(table, command))]
    notes = _numbered_notes(table)
    parts += tables(suite, table, notes)
    if has_groups(table):
        parts.append('## Notes')  # they are of all groups
    parts += [f'<sup>{number}</sup> {note}' for note, number in notes.items()]
    parts.append(_caution(suite, table))
    if with_other_settings:
        parts.append(
            'Made with other settings than the suite now asks for, so not to be compared: '
            f'{", ".join(with_other_settings)}.'
        )
    resumed = [str(o.key) for row in table for o in row.finished if o.was_resumed]
    if resumed:
        parts.append(
            'Resumed after an interruption, with the random numbers of a run without one, but not '
            f'bit by bit the same where kernels are not deterministic: {", ".join(resumed)}.'
        )
    if with_plots:
        name = quote(suite.name)
        parts.append(f'![{suite.metric} of every run, with its seeds]({name}_bars.png)')
        parts.append(f'![{suite.metric} against iterations]({name}_curves.png)')
    unfinished = [o for row in table for o in row.outcomes if not o.is_finished]
    if unfinished:
        begun = [_why(outcome) for outcome in unfinished if outcome.status != NOT_RUN]
        parts.append('## Not finished')
        parts.append('\n'.join(begun + _not_run(unfinished)))
    return '\n\n'.join(parts) + '\n'


def _preamble(table: Sequence[Row], command: str) -> list[str]:
    machines = dict.fromkeys(
        machine_line(o.record['machine'])
        for row in table
        for o in row.outcomes
        if o.record.get('machine')
    )
    made_with = provenance([o.record for row in table for o in row.outcomes])
    where = f'Run on {"; ".join(machines) or "no machine yet"}.'
    return [f'{where} {made_with}'.strip(), '', f'`{command}`']


def _numbered_notes(table: Sequence[Row]) -> dict[str, int]:
    """In order of appearance; a text that several runs have is one note."""
    notes = dict.fromkeys(row.run.note for row in table if row.run.note is not None)
    return {note: number for number, note in enumerate(notes, start=1)}


def _caution(suite: Suite, table: Sequence[Row]) -> str:
    teachers = {run.teacher for run in suite.runs.values()}
    held = [row for row in table if row.run.name not in teachers] or table
    counts = sorted({len(row.finished) for row in held if row.finished})
    if not counts:
        return 'No run that is to be compared has finished yet.'
    few = str(counts[0]) if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
    parts = ['One seed a run.' if counts == [1] else f'{few} seeds a run.']
    if counts[-1] > 1:
        parts.append('Mean ± standard deviation over the seeds.')
    parts.append('Minutes are those of the whole process, imports and validation included.')
    gains = _about_gains(table)
    return ' '.join(parts) + ('\n\n' + ' '.join(gains) if gains else '')


def _about_gains(table: Sequence[Row]) -> list[str]:
    gains = [row for row in table if row.gain is not None]
    if not gains:
        return []
    parts = ['A gain is the mean of the differences of the last values, seed by seed.']
    intervals = [row.gain.interval for row in gains if row.gain.interval is not None]
    if not intervals:
        parts.append(
            'One seed shows no spread, so there is no interval, and a difference may mean nothing.'
        )
    else:
        parts.append('In brackets its 95 % confidence interval (t, over the seeds).')
    if any(lower <= 0 <= upper for lower, upper in intervals):
        parts.append(f'{UNCLEAR}: it holds 0, the gain is not distinguishable from 0.')
    if 0 < len(intervals) < len(gains):
        parts.append('A gain of one seed has none and may mean nothing.')
    if len(intervals) > 1:
        parts.append(
            f'Each of the {len(intervals)} intervals misses the true gain with a chance of 5 %, so '
            'some miss it by chance; nothing is corrected for their number.'
        )
    if any(_has_one_teacher(row) for row in gains):
        parts.append(
            'The teacher is one training with one seed: how much another one would change the '
            'gains is in no spread and no interval.'
        )
    return parts


def _has_one_teacher(row: Row) -> bool:
    """Whether all seeds of a run learn from the same weights, a run's or a given checkpoint's."""
    settings = [outcome.record.get('settings', {}) for outcome in row.finished]
    teachers = {of.get('suite.teacher', of.get('model.teacher_ckpt')) for of in settings}
    return len(teachers - {None, 'None'}) == 1


def _why(outcome: Outcome) -> str:
    text = f'* {outcome.key}: {outcome.status}'
    if outcome.why is not None:
        text += f': {outcome.why}'
    if outcome.status == records.FAILED:
        log = f'runs/{outcome.key.run}/seed{outcome.key.seed}/run.log'
        text += f' ([log]({log}))'
    return text


def _not_run(outcomes: Sequence[Outcome]) -> list[str]:
    """One line for all of them."""
    seeds: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status == NOT_RUN:
            seeds.setdefault(outcome.key.run, []).append(str(outcome.key.seed))
    runs = [f'{name} seed{"s" * (len(of) > 1)} {", ".join(of)}' for name, of in seeds.items()]
    return [f'* not run: {"; ".join(runs)}'] if runs else []


# As the report names them, by the name of their module.
_PACKAGES = dict(
    torch='torch',
    mmengine='mmengine',
    mmseg='mmsegmentation',
    mmpretrain='mmpretrain',
    mmrazor='mmrazor',
    mmrazor_tat='mmrazor_tat',
)
_SHOWN = 10  # digits of a commit


def provenance(records: Sequence[dict[str, Any]]) -> str:
    """One or two sentences; empty where the records do not tell.

    Args:
        records: of the runs; an empty one was not begun.
    """
    commits = Counter(_commit(record['commit']) for record in records if record.get('commit'))
    versions = dict.fromkeys(
        _versions(record['versions'], _is_classification(record))
        for record in records
        if record.get('versions')
    )
    made_with = [' or '.join(versions)] if versions else []
    if len(commits) == 1:
        made_with.append(f'commit {next(iter(commits))}')
    parts = [f'Made with {", ".join(made_with)}.'] if made_with else []
    if len(versions) > 1:
        parts.append('The runs had several versions: differences may come from these.')
    if len(commits) > 1:
        of = [f'{name} ({count} run{"s" * (count > 1)})' for name, count in commits.items()]
        parts.append(
            f'The runs had several commits, differences may come from these: {", ".join(of)}.'
        )
    if any(name.endswith('+') for name in commits):
        parts.append('+: with changes that were not committed.')
    return ' '.join(parts)


def _commit(commit: str) -> str:
    """Cut short; the '+' of a changed tree stays."""
    return commit.rstrip('+')[:_SHOWN] + '+' * commit.endswith('+')


def _is_classification(record: dict[str, Any]) -> bool:
    """Whether a run was mmpretrain's; the settings are kept as text."""
    return record.get('settings', {}).get('default_scope') == repr('mmpretrain')


def _versions(versions: dict[str, Any], is_classification: bool) -> str:
    """Without the package of the other task, which may have been imported all the same."""
    other = 'mmseg' if is_classification else 'mmpretrain'
    return ', '.join(
        f'{name} {versions[module]}'
        for module, name in _PACKAGES.items()
        if versions.get(module) and module != other
    )
