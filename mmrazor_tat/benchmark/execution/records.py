"""What is known of a run: run.json, what it logged, and the end of its output."""

import json
import math
import re
import time
from pathlib import Path
from typing import Any, Optional

from ...utils.files import write_atomically
from ...utils.work_dir import (
    NO_METRICS,
    diverged_at,
    last_checkpoint,
    log_files,
    read_lines,
    read_record,
    step_of,
)
from ..suites import SuiteError
from ..suites.jobs import Job

RUNNING, FINISHED, FAILED, INTERRUPTED = 'running', 'finished', 'failed', 'interrupted'
_NAMED_DIFFERENCES = 5
_TAIL_BYTES = 2**15
_ERROR = re.compile(r'^(?:\[rank\d+\]: ?)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*)')
# What torchrun says of a failed worker, which has told the reason before.
_SECOND_HAND = ('ChildFailedError', 'SignalException')


def write_record(folder: Path, record: dict[str, Any]) -> None:
    write_atomically(folder / 'run.json', json.dumps(record, indent=1) + '\n')


def read_use(folder: Path, begun: int = 0) -> tuple[int, float, Optional[float]]:
    """(starts, their seconds, peak MiB of their resident memory), as the worker has noted; the
    seconds of the first ``begun`` starts do not count, as they were begun anew."""
    path = folder / 'use.json'
    starts = json.loads(path.read_text()) if path.exists() else []
    peaks = [start['peak_mib'] for start in starts if start['peak_mib'] is not None]
    seconds = sum(start['seconds'] for start in starts[begun:])
    return len(starts), seconds, max(peaks, default=None)


def of_start(job: Job, checkpoint: Optional[Path], about: dict[str, Any]) -> dict[str, Any]:
    """What is known of a job as it is started, or gone on with from a checkpoint."""
    before = read_record(job.folder) or {}
    trains_on = checkpoint is not None and step_of(checkpoint) != job.total
    starts, _, _ = read_use(job.folder)
    return dict(
        run=job.key.run,
        seed=job.key.seed,
        status=INTERRUPTED,  # until it is queued or runs
        resumed=before.get('resumed', 0) + trains_on if checkpoint is not None else 0,
        begun=before.get('begun') or time.strftime('%F %T'),
        # A start from nothing repeats what an earlier one did before its first checkpoint.
        begun_anew=before.get('begun_anew', 0) if checkpoint is not None else starts,
        parameters=job.parameters,
        batch=None if job.batch is None else job.batch.as_dict(),
        unit=job.unit,
        error=None,
        log_tail=[],
        results=None,
        **about,
        fingerprint=job.fingerprint,
        settings=job.settings,
    )


def is_complete(job: Job, metric: str, results: dict[str, Any]) -> bool:
    """Whether a run has its last checkpoint and its last validation."""
    checkpoint = last_checkpoint(job.folder)
    if job.total is None or checkpoint is None or step_of(checkpoint) != job.total:
        return False
    curve = results['metrics'].get(metric, {}).get('curve', ())
    return job.total in (step for step, _ in curve)


def diverged(results: dict[str, Any]) -> str:
    since = results['diverged_at']
    return f'loss is not finite since iteration {since}; to train it anew delete its folder'


def teacher_checkpoint(teacher: Job, is_done: bool = True) -> Path:
    """What a teacher has left, or will leave."""
    if not is_done:
        return teacher.folder / f'{teacher.unit}_{teacher.total}.pth'
    checkpoint = last_checkpoint(teacher.folder)
    if checkpoint is None:
        raise SuiteError(
            f'{teacher.key} is finished, but {teacher.folder} holds no checkpoint of it any more: '
            'delete that folder to train it again'
        )
    return checkpoint


def differences(job: Job, record: dict[str, Any]) -> list[str]:
    """How the settings of a begun run differ from those that its suite asks for now."""
    then, now = record['settings'], job.settings
    return [
        f'{key} was {then.get(key, "not set")}, is now {now.get(key, "not set")}'
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]


def check_records(jobs: list[Job]) -> None:
    """Refuse to go on with runs that were begun with other settings.

    Raises:
        SuiteError: names the first such run and what differs.
    """
    for job in jobs:
        record = read_record(job.folder)
        if record is None:
            if any(job.folder.glob('*.pth')):
                raise SuiteError(
                    f'{job.key}: {job.folder} holds checkpoints that no suite made (no run.json): '
                    'choose another --out or delete that folder'
                )
            continue
        if record['status'] in (FAILED, INTERRUPTED) and not any(job.folder.glob('*.pth')):
            continue  # nothing is lost
        changed = differences(job, record)
        if changed:
            more = len(changed) - _NAMED_DIFFERENCES
            listed = '\n  '.join(changed[:_NAMED_DIFFERENCES] + [f'and {more} more'] * (more > 0))
            raise SuiteError(
                f'{job.key} is {record["status"]} with other settings than the suite now asks for:'
                f'\n  {listed}\nChoose another --out, or delete {job.folder}'
            )


def read_results(folder: Path, metric: str) -> dict[str, Any]:
    """The validations of a run over all its starts; where two logged one step, the later counts.

    Gives ``metrics``: by name, the suite's first, then those of its last name under a prefix
    ('squashed/mIoU'), each with ``last``, ``best``, ``best_step`` and ``curve``, the list of (step,
    value) by iterations or epochs, as the run counts; ``iterations``; ``gpu_mib``, the peak of
    torch's allocator, or None; ``diverged_at``, see that function.
    """
    curves: dict[str, dict[int, float]] = {metric: {}}
    losses: dict[int, float] = {}
    iterations, memory = 0, None
    leaf = metric.split('/')[-1]
    for line in read_lines(folder):
        iterations = max(iterations, line.get('iter', 0))
        if 'loss' in line and 'iter' in line:
            losses[line['iter']] = line['loss']
        if 'memory' in line:
            memory = max(memory or 0, line['memory'])
        for name, value in line.items():
            if name.split('/')[-1] == leaf and isinstance(value, (int, float)):
                curves.setdefault(name, {})[line['step']] = value
    metrics = {}
    for name, curve in curves.items():
        points = sorted(curve.items())
        # Of equal values the first; one that is no number is never the best.
        best = max(points, key=lambda p: -math.inf if math.isnan(p[1]) else p[1], default=None)
        if best is not None:
            ends = dict(last=points[-1][1], best=best[1], best_step=best[0])
            metrics[name] = dict(ends, curve=points)
    return dict(
        metrics=metrics,
        iterations=iterations,
        gpu_mib=memory,
        diverged_at=diverged_at(losses),
    )


def discard_logs(folder: Path) -> None:
    """Take what was logged out of account: the run begins anew."""
    for path in log_files(folder):
        path.rename(path.with_name('scalars_discarded.json'))


def read_error(folder: Path, metric: str, code: int, since: int) -> tuple[str, list[str]]:
    """Why a run failed, and its last lines; ``code``: 128 and more, it was ended by a signal;
    ``since``: bytes of run.log that are of earlier starts."""
    log, tail = folder / 'run.log', b''
    if log.exists():
        with log.open('rb') as file:
            file.seek(max(since, log.stat().st_size - _TAIL_BYTES, 0))
            tail = file.read()
    lines = tail.decode(errors='replace').splitlines()
    texts = [text.rstrip() for text in lines if text.strip()]
    found = [match.group(1) for match in map(_ERROR.match, texts) if match]
    first_hand = [text for text in found if not any(word in text for word in _SECOND_HAND)]
    reason = (first_hand or found or texts or ['it printed nothing'])[-1]
    validations = [line for line in read_lines(folder) if 'loss' not in line]
    measured = list(dict.fromkeys(k for line in validations for k in line if k not in NO_METRICS))
    if measured and metric not in measured:  # mmengine: KeyError
        reason = f"the validation has no {metric!r}, the suite's metric: it has "
        reason += ', '.join(measured)
    elif code == 0:
        reason = f'it ended without a validation, so without {metric!r}'
    elif code > 128:
        reason = f'ended by signal {code - 128}; last line: {reason}'
    return reason, texts[-20:]
