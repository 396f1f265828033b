"""The report of a suite: SUITE.json with everything, SUITE.csv, SUITE.md and its pictures."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from ..benchmark import machine_line, markdown_table
from ..files import write_atomically
from . import record as records
from .definition import Suite
from .plan import Job
from .plots import plot_bars, plot_curves
from .provenance import provenance
from .summary import NOT_RUN, Outcome, Row, Spread, collect, rows

_UNCLEAR = 'n.d.'


def report_path(suite: Suite, out: Path, end: str = '.md') -> Path:
    """A file of the report; by the suite's name, as several suites may share a folder."""
    return out / f'{suite.name}{end}'


def write_report(
    suite: Suite,
    jobs: Sequence[Job],
    out: Path,
    command: str,
    about: Optional[dict[str, Any]] = None,
    with_plots: bool = True,
) -> None:
    """Write the report of what lies in a suite's folder.

    Args:
        suite: what was asked for.
        jobs: all that the report is about; what was not run is listed as such.
        out: the folder.
        command: the call, as typed.
        about: for SUITE.json, e.g. the machine.
        with_plots: draw SUITE_bars.png and SUITE_curves.png as well.
    """
    outcomes = collect(jobs)
    table = rows(suite, outcomes)
    finished = any(row.finished for row in table)
    others = [job.key for job in jobs if _has_other_settings(job)]
    write_atomically(
        report_path(suite, out, '.json'),
        json.dumps(_as_json(suite, table, command, about or {}), indent=1) + '\n',
    )
    write_atomically(report_path(suite, out, '.csv'), _as_csv(table, suite.metric))
    if with_plots and finished:
        plot_bars(suite, table, report_path(suite, out, '_bars.png'))
        plot_curves(suite, table, report_path(suite, out, '_curves.png'))
    text = as_markdown(suite, table, command, with_plots and finished, list(map(str, others)))
    write_atomically(report_path(suite, out), text)


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
    parts.append(_table(suite, table, notes))
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
            'Resumed after an interruption, so with other random numbers from there on: '
            f'{", ".join(resumed)}.'
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


def _table(suite: Suite, table: Sequence[Row], notes: dict[str, int]) -> str:
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
            line += [_spread(row.last.get(name)), _spread(row.best.get(name))]
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


def _spread(spread: Optional[Spread], sign: str = '') -> str:
    if spread is None:
        return ''
    text = f'{spread.mean:{sign}.2f}'
    return text if spread.std is None else f'{text} ± {spread.std:.2f}'


def _gain(row: Row) -> str:
    if row.gain is None:
        return ''
    text = _spread(row.gain, '+')
    if row.gain.interval is not None:
        lower, upper = row.gain.interval
        text += f' [{lower:.2f}, {upper:.2f}]' + f' {_UNCLEAR}' * (lower <= 0 <= upper)
    if row.gain.count < len(row.finished):
        text += f' ({row.gain.count} of {len(row.finished)} seeds)'
    return text


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
        parts.append(f'{_UNCLEAR}: it holds 0, the gain is not distinguishable from 0.')
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


def _has_other_settings(job: Job) -> bool:
    record = records.read_record(job.folder)
    return record is not None and bool(records.differences(job, record))


def _as_json(
    suite: Suite, table: Sequence[Row], command: str, about: dict[str, Any]
) -> dict[str, Any]:
    def spread(of: Optional[Spread]) -> Optional[dict[str, Any]]:
        return None if of is None else of._asdict()

    def gain(of: Optional[Spread]) -> Optional[dict[str, Any]]:
        return None if of is None else dict(**of._asdict(), interval=of.interval)

    return dict(
        suite=dict(
            name=suite.name,
            title=suite.title,
            metric=suite.metric,
            seeds=list(suite.seeds),
            options={key: repr(value) for key, value in suite.options.items()},
            toy_data=suite.toy_data,
        ),
        command=command,
        **about,
        runs={
            row.run.name: dict(
                label=row.run.label,
                config=_config_name(row.run.config),
                baseline=row.run.baseline,
                paper=row.run.paper,
                note=row.run.note,
                last={name: spread(of) for name, of in row.last.items()},
                best={name: spread(of) for name, of in row.best.items()},
                gain=gain(row.gain),
                seconds=spread(row.seconds),
                peak_mib=row.peak_mib,
                teacher=row.run.teacher,
                start=row.run.start,
                options={key: repr(value) for key, value in row.run.options.items()},
                seeds=list(map(_record, row.outcomes)),
            )
            for row in table
        },
    )


def _config_name(config: Path) -> str:
    """As from the folder of all configs, where it is in one."""
    parts = config.parts
    return '/'.join(parts[parts.index('configs') + 1 :]) if 'configs' in parts else config.name


def _record(outcome: Outcome) -> dict[str, Any]:
    """Without the settings, which are long: they stay in run.json."""
    record = {key: value for key, value in outcome.record.items() if key != 'settings'}
    return {**record, 'seed': outcome.key.seed, 'status': outcome.status, 'error': outcome.why}


def _as_csv(table: Sequence[Row], metric: str) -> str:
    names = dict.fromkeys([metric, *(name for row in table for name in row.last)])
    columns = ['run', 'label', 'seed', 'status']
    columns += [f'{which} {name}' for name in names for which in ('last', 'best', 'best_step')]
    columns += ['starts', 'iterations', 'batch', 'seconds', 'peak_mib', 'parameters']
    columns += ['paper', 'error']
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    for row in table:
        for outcome in row.outcomes:
            record = outcome.record
            figures = {
                f'{which} {name}': of[which]
                for name, of in outcome.metrics.items()
                for which in ('last', 'best', 'best_step')
            }
            writer.writerow(
                dict(
                    run=row.run.name,
                    label=row.run.label,
                    seed=outcome.key.seed,
                    status=outcome.status,
                    starts=record.get('starts'),
                    iterations=(record.get('results') or {}).get('iterations'),
                    batch=(record.get('batch') or {}).get('size'),
                    seconds=record.get('seconds'),
                    peak_mib=outcome.peak_mib,
                    parameters=record.get('parameters'),
                    paper=row.run.paper,
                    error=outcome.why,
                    **figures,
                )
            )
    return text.getvalue()
