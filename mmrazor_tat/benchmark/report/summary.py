"""What a suite found: a frame with a line for each run and seed, and the means over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import pandas as pd
from scipy import stats

from ...utils.work_dir import read_record
from ..execution import records
from ..suites import Suite, SuiteError
from ..suites.definition import Run
from ..suites.jobs import Job

NOT_RUN = 'not run'


class Spread(NamedTuple):
    """Mean and standard deviation of some values."""

    mean: float
    std: Optional[float]  # of the sample (n - 1); None of a single value
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Optional['Spread']:
        """None of no values."""
        values = pd.Series(list(values), dtype=float)
        std = float(values.std()) if len(values) > 1 else None
        return None if values.empty else cls(float(values.mean()), std, len(values))

    @property
    def interval(self) -> Optional[tuple[float, float]]:
        """The 95 % t-interval of the mean; None of a single value."""
        if self.std is None:
            return None
        half = float(stats.t.ppf(0.975, self.count - 1)) * self.std / self.count**0.5
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Row:
    """A run over its finished seeds."""

    run: Run
    seeds: pd.DataFrame  # all of its lines of the frame
    last: dict[str, Spread]  # by metric
    best: dict[str, Spread]
    gain: Optional[Spread]  # of the last, over the baseline with the same seed
    by_seed: dict[int, float]  # the last
    curves: pd.DataFrame  # of the suite's metric, steps x seeds, where all seeds have one

    @property
    def finished(self) -> pd.DataFrame:
        return self.seeds[self.seeds.status == records.FINISHED]

    @property
    def unit(self) -> str:
        return next(iter(self.finished.unit), 'iter')


def collect(jobs: Sequence[Job]) -> pd.DataFrame:
    """A line for each job, from the records in their folders; ``record`` has all of each."""
    found = {job.key: read_record(job.folder) for job in jobs}
    lines = []
    for job in jobs:
        record = found[job.key] or {}
        status, error = record.get('status', NOT_RUN), record.get('error')
        teacher = found.get(job.teacher) or {}
        if not record and teacher.get('status') == records.FAILED:
            status, error = 'skipped', f'{job.teacher.run} failed'
        results = record.get('results') or {}
        gpu = results.get('gpu_mib')
        line = dict(run=job.key.run, seed=job.key.seed, label=job.run.label, group=job.run.group)
        line.update(status=status, error=error)
        for name, of in results.get('metrics', {}).items() if status == records.FINISHED else ():
            line.update({f'{which} {name}': of[which] for which in ('last', 'best', 'best_step')})
        line.update(
            starts=record.get('starts'),
            iterations=results.get('iterations'),
            batch=(record.get('batch') or {}).get('size'),
            seconds=record.get('seconds'),
            # On a GPU what torch's allocator handed out, on a CPU the process's resident memory.
            peak_mib=record.get('peak_mib') if gpu is None else gpu,
            parameters=record.get('parameters'),
            paper=job.run.paper,
            unit=record.get('unit', 'iter'),
            record=record,
        )
        lines.append(line)
    return pd.DataFrame(lines)


def metrics_of(frame: pd.DataFrame, metric: str) -> list[str]:
    """Those that the lines of a frame have, the suite's first."""
    names = [name.removeprefix('last ') for name in frame if name.startswith('last ')]
    names = [name for name in names if frame[f'last {name}'].notna().any()]
    return [metric, *(name for name in names if name != metric)]


def rows(suite: Suite, frame: pd.DataFrame) -> list[Row]:
    """The runs in the order of the suite.

    Raises:
        SuiteError: a finished run lacks the suite's metric: it was run for another one.
    """
    finished = frame[frame.status == records.FINISHED]
    for line in finished.itertuples():
        metrics = line.record['results']['metrics']
        if suite.metric not in metrics:
            raise SuiteError(
                f"{line.run} seed {line.seed} is finished without {suite.metric!r}, the suite's "
                f'metric: its record has {", ".join(metrics) or "none"}'
            )
    last = pd.DataFrame()
    if not finished.empty:
        last = finished.pivot(index='seed', columns='run', values=f'last {suite.metric}')
    return [
        _row(run, frame[frame.run == run.name], last, suite.metric) for run in suite.runs.values()
    ]


def _row(run: Run, seeds: pd.DataFrame, last: pd.DataFrame, metric: str) -> Row:
    done = seeds[seeds.status == records.FINISHED]

    def spreads(which: str) -> dict[str, Spread]:
        names = [name for name in metrics_of(done, metric) if f'{which} {name}' in done]
        found = {name: Spread.of(done[f'{which} {name}'].dropna()) for name in names}
        return {name: of for name, of in found.items() if of is not None}

    gains = pd.Series(dtype=float)
    if run.baseline is not None and {run.name, run.baseline} <= set(last):
        gains = (last[run.name] - last[run.baseline]).dropna()
    curves = {
        line.seed: dict(map(tuple, line.record['results']['metrics'][metric]['curve']))
        for line in done.itertuples()
    }
    by_seed = last[run.name].dropna().to_dict() if run.name in last else {}
    means = spreads('last'), spreads('best'), Spread.of(gains)
    return Row(run, seeds, *means, by_seed, pd.DataFrame(curves).dropna())


def by_group(table: Sequence[Row]) -> dict[Optional[str], list[Row]]:
    """The runs of each group, in order of first appearance; those in none come first, at None."""
    groups: dict[Optional[str], list[Row]] = {None: []}
    for row in table:
        groups.setdefault(row.run.group, []).append(row)
    return {group: of for group, of in groups.items() if of}


def roles(suite: Suite) -> tuple[set[str], list[str]]:
    """The runs that teach, and those that gains are counted from."""
    runs = suite.runs.values()
    teachers = {run.teacher for run in runs if run.teacher is not None}
    return teachers, list(dict.fromkeys(run.baseline for run in runs if run.baseline is not None))


def as_json(suite: Suite, table: Sequence[Row]) -> dict[str, Any]:
    """What SUITE.json holds of the suite and its runs."""

    def texts(options: dict[str, Any]) -> dict[str, str]:
        return {key: repr(value) for key, value in options.items()}

    def spreads(of: dict[str, Spread]) -> dict[str, dict]:
        return {name: spread._asdict() for name, spread in of.items()}

    shown = {key: getattr(suite, key) for key in ('name', 'title', 'metric', 'seeds', 'toy_data')}
    runs = {
        row.run.name: dict(
            vars(row.run),
            config='/'.join(row.run.config.parts).rpartition('configs/')[2],
            options=texts(row.run.options),
            last=spreads(row.last),
            best=spreads(row.best),
            gain=row.gain and dict(row.gain._asdict(), interval=row.gain.interval),
            # Without the settings, which are long: they stay in run.json.
            seeds=[
                {k: v for k, v in line.record.items() if k != 'settings'}
                | dict(seed=line.seed, status=line.status, error=line.error)
                for line in row.seeds.itertuples()
            ],
        )
        for row in table
    }
    return dict(suite=dict(shown, options=texts(suite.options)), runs=runs)
