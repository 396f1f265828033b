"""A run that is under way, and how a call is stopped."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

from ...utils.work_dir import last_checkpoint
from ..suites.jobs import Job
from ..suites.options import SuiteError
from .launch import Process

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Running:
    """A started job."""

    def __init__(self, process: Process, record: dict[str, Any]) -> None:
        self.process, self.record = process, record
        self.started = time.monotonic()
        self.began_at = time.time()
        self._seconds_before = record['seconds']
        self._peak_before = record['peak_mib'] or 0.0
        self._first: Optional[tuple[int, float]] = None  # seen: how far, and when
        self.written = self.started

    def note(self) -> dict[str, Any]:
        """The record with the time and the memory of this start."""
        self.record['seconds'] = self._seconds_before + time.monotonic() - self.started
        peak = self.process.peak_mib
        if peak is not None:
            self.record['peak_mib'] = max(self._peak_before, peak)
        return self.record

    def seconds_left(
        self, job: Job, done: int, line: dict[str, Any], written: float
    ) -> Optional[float]:
        """From the pace since the first line of this start, else from what mmengine measured."""
        if job.total is None:
            return None
        self._first = self._first or (done, written)
        passed = done - self._first[0]
        if passed > 0:
            pace = (written - self._first[1]) / passed
        elif job.unit == 'iter' and 'time' in line:
            pace = line['time']
        else:
            return None
        return max(0.0, (job.total - done) * pace - (time.time() - written))


def validated(results: dict[str, Any], metric: str) -> set[int]:
    """The steps that a run was validated at."""
    return {step for step, _ in results['metrics'].get(metric, {}).get('curve', ())}


def diverged(results: dict[str, Any]) -> str:
    return (
        f'loss is not finite since iteration {results["diverged_at"]}; to train it anew delete its '
        'folder'
    )


def teacher_checkpoint(teacher: Job) -> Path:
    checkpoint = last_checkpoint(teacher.folder)
    if checkpoint is None:
        raise SuiteError(
            f'{teacher.key} is finished, but {teacher.folder} holds no checkpoint of it any more: '
            'delete that folder to train it again'
        )
    return checkpoint


@contextlib.contextmanager
def signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Within, the signals that ask a process to end call ``stop``; the second time they end it."""

    def handle(number: int, _) -> None:
        stop(number)
        for other in _SIGNALS:
            signal.signal(other, _at_once)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_once(number: int, _) -> None:
    os._exit(128 + number)  # the trainings end with this process
