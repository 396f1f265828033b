"""What a suite found: outcomes of runs, rows of tables, means and intervals."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from ...utils.work_dir import read_record
from ..execution import records
from ..suites.definition import Run, Suite
from ..suites.jobs import Job, Key
from ..suites.options import SuiteError

# The 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
_QUANTILES = (
    (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
    + (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
    + (2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
)


def t_interval(mean: float, std: float, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a mean.

    Args:
        mean: of the values.
        std: of the sample (n - 1).
        count: n, at least 2. Above 31 the quantile of 31 is taken: a little too wide.

    Returns:
        (lower, upper), in the unit of the values.

    Raises:
        ValueError: fewer than two values.
    """
    if count < 2:
        raise ValueError(f'count must be at least 2 for an interval, got {count}')
    half = _QUANTILES[min(count, len(_QUANTILES) + 1) - 2] * std / math.sqrt(count)
    return mean - half, mean + half


NOT_RUN = 'not run'


class Spread(NamedTuple):
    """Mean and standard deviation of some values."""

    mean: float
    std: Optional[float]  # of the sample (n - 1); None of a single value
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Optional['Spread']:
        """None of no values."""
        if not values:
            return None
        std = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), std, len(values))

    @property
    def interval(self) -> Optional[tuple[float, float]]:
        """The 95 % t-interval of the mean; None of a single value."""
        return None if self.std is None else t_interval(*self)


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    key: Key
    status: str  # finished, failed, interrupted, running, skipped, not run
    record: dict[str, Any]  # empty where it was not begun
    why: Optional[str] = None  # it did not finish

    @property
    def is_finished(self) -> bool:
        return self.status == records.FINISHED

    @property
    def was_resumed(self) -> bool:
        """Trained on from a checkpoint: with other random numbers than in one go."""
        return bool(self.record.get('resumed', 0))

    @property
    def metrics(self) -> dict[str, Any]:
        return self.record['results']['metrics'] if self.is_finished else {}

    @property
    def peak_mib(self) -> Optional[float]:
        """On a GPU what torch's allocator handed out, on a CPU the process's resident memory."""
        gpu = (self.record.get('results') or {}).get('gpu_mib')
        return self.record.get('peak_mib') if gpu is None else gpu


@dataclass(frozen=True)
class Row:
    """A run over its finished seeds."""

    run: Run
    outcomes: list[Outcome]
    last: dict[str, Spread]  # by metric
    best: dict[str, Spread]
    gain: Optional[Spread]  # of the last, over the baseline with the same seed
    seconds: Optional[Spread]
    peak_mib: Optional[float]
    by_seed: dict[int, float]  # the last
    unit: str  # 'iter' or 'epoch'

    @property
    def finished(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.is_finished]


def collect(jobs: Sequence[Job]) -> list[Outcome]:
    """What became of the jobs, from the records in their folders."""
    found = {job.key: read_record(job.folder) for job in jobs}
    outcomes = []
    for job in jobs:
        record = found[job.key]
        teacher = None if job.teacher is None else found.get(job.teacher)
        if record is not None:
            status, why = record['status'], record.get('error')
        elif teacher is not None and teacher['status'] == records.FAILED:
            status, why = 'skipped', f'{job.teacher.run} failed'
        else:
            status, why = NOT_RUN, None
        outcomes.append(Outcome(job.key, status, record or {}, why))
    return outcomes


def rows(suite: Suite, outcomes: Sequence[Outcome]) -> list[Row]:
    """The runs in the order of the suite.

    Raises:
        SuiteError: a finished run lacks the suite's metric: it was run for another one.
    """
    for outcome in outcomes:
        if outcome.is_finished and suite.metric not in outcome.metrics:
            raise SuiteError(
                f"{outcome.key} is finished without {suite.metric!r}, the suite's metric: its "
                f'record has {", ".join(outcome.metrics) or "none"}'
            )
    last = {
        outcome.key: outcome.metrics[suite.metric]['last']
        for outcome in outcomes
        if outcome.is_finished
    }
    return [
        _row(run, [o for o in outcomes if o.key.run == run.name], last, suite.metric)
        for run in suite.runs.values()
    ]


def _row(run: Run, outcomes: list[Outcome], last: dict[Key, float], metric: str) -> Row:
    finished = [outcome for outcome in outcomes if outcome.is_finished]
    names = dict.fromkeys(name for outcome in finished for name in outcome.metrics)

    def spreads(which: str) -> dict[str, Spread]:
        return {
            name: Spread.of([o.metrics[name][which] for o in finished if name in o.metrics])
            for name in names
        }

    pairs = [(o.key, Key(run.baseline, o.key.seed)) for o in finished if run.baseline is not None]
    gains = [last[own] - last[other] for own, other in pairs if other in last]
    return Row(
        run=run,
        outcomes=outcomes,
        last=spreads('last'),
        best=spreads('best'),
        gain=Spread.of(gains),
        seconds=Spread.of([outcome.record['seconds'] for outcome in finished]),
        peak_mib=max([o.peak_mib for o in finished if o.peak_mib is not None], default=None),
        by_seed={o.key.seed: o.metrics[metric]['last'] for o in finished},
        unit=next((o.record['unit'] for o in finished), 'iter'),
    )


def has_groups(table: Sequence[Row]) -> bool:
    """Whether any run is in one."""
    return any(row.run.group is not None for row in table)


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
