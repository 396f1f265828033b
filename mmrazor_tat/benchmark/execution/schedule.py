"""Many runs: which is next, what became of each, and what happens when one of them fails."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from ...utils.work_dir import keep_last, last_checkpoint, point_to_last, step_of
from ..suites.jobs import Job, Key
from ..suites.networks import draw
from . import record as records
from .launch import Command, Launch, Process, as_line, train_command
from .progress import Progress, State, duration, suite_seconds_left
from .results import discard_logs, last_training_line, read_error, read_results, validated_names
from .running import Running, diverged, signals, teacher_checkpoint, validated

WAITING, SKIPPED = 'waiting', 'skipped'
_SECONDS_BETWEEN_LOOKS = 0.3
_SECONDS_BETWEEN_RECORDS = 5.0


class Schedule:
    """Runs the jobs of a suite, in order, and keeps a record of each.

    A finished job is not run again, an interrupted or failed one goes on from its last checkpoint.
    A job waits for its teacher, and is skipped where that fails.

    Args:
        jobs: what is to be run; teachers among them.
        metric: of the suite.
        launch: how a job becomes a process.
        progress: prints the course.
        about: kept in every record, e.g. the machine.
        command: gives the words of a job's command.
        after_each: called after each job that has finished or failed.
        descriptors: that the processes inherit, for the lock.
    """

    def __init__(
        self,
        jobs: list[Job],
        metric: str,
        launch: Launch,
        progress: Progress,
        about: Optional[dict[str, Any]] = None,
        command: Command = train_command,
        after_each: Callable[[], None] = lambda: None,
        descriptors: tuple[int, ...] = (),
    ) -> None:
        self.jobs = {job.key: job for job in jobs}
        self._numbers = {job.key: number for number, job in enumerate(jobs, start=1)}
        self.metric, self.launch, self.progress = metric, launch, progress
        self._about, self._command, self._after_each = about or {}, command, after_each
        self._descriptors = descriptors
        self._running: dict[int, tuple[Job, Running]] = {}  # by slot
        self._seconds: dict[Key, float] = {}  # of the finished ones
        self.status: dict[Key, str] = {}
        self.stopped_by: Optional[int] = None  # a signal
        for job in jobs:
            self.status[job.key] = WAITING
            found = records.read_record(job.folder)
            if found is not None:
                self._settle_earlier(job, found)

    def keys(self, status: str) -> list[Key]:
        """The jobs of one status, in order."""
        return [key for key, value in self.status.items() if value == status]

    def run(self) -> None:
        """Run what is not finished; returns when all is done, or a signal asks to end."""
        with signals(self._stop):
            try:
                while self.stopped_by is None:
                    self._skip()
                    self._fill()
                    if not self._running:
                        break
                    self._look()
                    self._show()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            finally:
                self._end()

    def _stop(self, number: int) -> None:
        self.stopped_by = number

    def _settle_earlier(self, job: Job, record: dict[str, Any]) -> None:
        """Note what has nothing left to train; its record may not say so yet."""
        results = read_results(job.folder, self.metric)
        if record['status'] != records.FINISHED and not self._is_complete(job, results):
            return
        if results['diverged_at'] is not None:
            # To train on, or once more from the start, would end no better.
            record.update(status=records.FAILED, error=diverged(results), results=None)
            records.write_record(job.folder, record)
            self.status[job.key] = records.FAILED
        elif record['status'] != records.FAILED:
            if record['status'] != records.FINISHED:
                self._conclude(job, record, results)
            self.status[job.key] = records.FINISHED
            self._seconds[job.key] = record['seconds']

    def _is_complete(self, job: Job, results: dict[str, Any]) -> bool:
        """Whether a run has its last checkpoint and its last validation."""
        checkpoint = last_checkpoint(job.folder)
        return (
            job.total is not None
            and checkpoint is not None
            and step_of(checkpoint) == job.total
            and job.total in validated(results, self.metric)
        )

    def _conclude(self, job: Job, record: dict[str, Any], results: dict[str, Any]) -> None:
        keep_last(job.folder)
        record.update(status=records.FINISHED, error=None, log_tail=[], results=results)
        records.write_record(job.folder, record)

    def _skip(self) -> None:
        for key in self.keys(WAITING):
            teacher = self.jobs[key].teacher
            if teacher is not None and self.status[teacher] == records.FAILED:
                self.status[key] = SKIPPED
                self.progress.event(f'{key} skipped: {teacher.run} failed', self._numbers[key])

    def _fill(self) -> None:
        """Start jobs in the free places."""
        for slot in range(self.launch.jobs):
            while slot not in self._running and self.stopped_by is None:
                job = self._next()
                if job is None:
                    return
                self._start(job, slot)
                self._skip()

    def _next(self) -> Optional[Job]:
        for key in self.keys(WAITING):
            teacher = self.jobs[key].teacher
            if teacher is None or self.status[teacher] == records.FINISHED:
                return self.jobs[key]
        return None

    def _start(self, job: Job, slot: int) -> None:
        before = records.read_record(job.folder) or {}
        checkpoint = point_to_last(job.folder) if job.folder.exists() else None
        resumes = checkpoint is not None
        record = dict(
            run=job.key.run,
            seed=job.key.seed,
            status=records.RUNNING,
            starts=before.get('starts', 0) + 1,
            resumed=before.get('resumed', 0) + self._trains_on(job, checkpoint) if resumes else 0,
            begun=before.get('begun') or time.strftime('%F %T'),
            # A start from nothing repeats what an earlier one did before its first checkpoint.
            seconds=before.get('seconds', 0.0) if resumes else 0.0,
            peak_mib=before.get('peak_mib'),
            parameters=job.parameters,
            batch=None if job.batch is None else job.batch.as_dict(),
            unit=job.unit,
            error=None,
            log_tail=[],
            command='',
            results=None,
            **self._about,
            fingerprint=job.fingerprint,
            settings=job.settings,
        )
        log = job.folder / 'run.log'
        try:
            if not resumes:
                discard_logs(job.folder)
            options = self._options(job, checkpoint)
            command = self._command(job, options, self.launch)
            environment = self.launch.environment(slot)
            record['command'] = as_line(command, environment)
            records.write_record(job.folder, record)
            process = Process(command, environment, log, self._descriptors)
        except (Exception, SystemExit) as error:  # e.g. weights that cannot be downloaded
            self._fail(job, record, f'{type(error).__name__}: {error}', [])
            return
        how = f'resumed from {checkpoint.name}' if checkpoint is not None else 'started'
        self.status[job.key] = records.RUNNING
        self._running[slot] = job, Running(process, record)
        self.progress.event(f'{job.key} {how}', self._numbers[job.key])

    def _options(self, job: Job, checkpoint: Optional[Path]) -> dict[str, Any]:
        options = dict(job.options)
        if job.teacher is not None:
            options['model.teacher_ckpt'] = str(teacher_checkpoint(self.jobs[job.teacher]))
        if job.start is not None:
            draw(job.start)
        return options

    @staticmethod
    def _trains_on(job: Job, checkpoint: Path) -> bool:
        """Whether something is left to train."""
        return step_of(checkpoint) != job.total

    def _look(self) -> None:
        """Note what has become of the running jobs."""
        for slot, (job, running) in list(self._running.items()):
            code = running.process.poll()
            record = running.note()
            if code is not None:
                del self._running[slot]
                self._settle(job, running, code)
            elif time.monotonic() - running.written > _SECONDS_BETWEEN_RECORDS:
                # The time so far, should this process be killed.
                running.written = time.monotonic()
                records.write_record(job.folder, record)

    def _settle(self, job: Job, running: Running, code: int) -> None:
        record = running.record
        record['ended'] = time.strftime('%F %T')
        results = read_results(job.folder, self.metric)
        validated = results['metrics'].get(self.metric)
        if code == 0 and results['diverged_at'] is not None:
            self._fail(job, record, diverged(results), [])
            return
        if code == 0 and validated is not None:
            self._conclude(job, record, results)
            self.status[job.key] = records.FINISHED
            self._seconds[job.key] = record['seconds']
            self.progress.event(
                f'{job.key} finished: {self.metric} {validated["last"]:.2f} '
                f'(best {validated["best"]:.2f}) in {duration(record["seconds"])}',
                self._numbers[job.key],
            )
            self._after_each()
            return
        reason, tail = read_error(job.folder / 'run.log', running.process.log_start)
        measured = validated_names(job.folder)
        if measured and self.metric not in measured:  # mmengine: KeyError
            reason = (
                f"the validation has no {self.metric!r}, the suite's metric: it has "
                f'{", ".join(measured)}'
            )
        elif code == 0:
            reason = f'it ended without a validation, so without {self.metric!r}'
        elif code < 0:
            reason = f'ended by {signal.Signals(-code).name}; last line: {reason}'
        self._fail(job, record, reason, tail)

    def _fail(self, job: Job, record: dict[str, Any], reason: str, tail: list[str]) -> None:
        record.update(status=records.FAILED, error=reason, log_tail=tail)
        records.write_record(job.folder, record)
        self.status[job.key] = records.FAILED
        self.progress.event(f'{job.key} failed: {reason}', self._numbers[job.key])
        self._after_each()

    def _show(self) -> None:
        states, running = [], {}
        for job, of in self._running.values():
            state = self._state(job, of)
            states.append(state)
            running[job.key] = of.record['seconds'], state.seconds_left
        left = suite_seconds_left(self._seconds, running, self.keys(WAITING), self.launch.jobs)
        if states:
            self.progress.update(states, left)

    def _state(self, job: Job, running: Running) -> State:
        state = State(self._numbers[job.key], job.key)
        found = last_training_line(job.folder)
        if found is None or found[1] < running.began_at:  # of an earlier start
            return state
        line, written = found
        if job.unit == 'epoch':
            step = line.get('epoch', 1)  # the present one
            done = step - 1
        else:
            step = done = line['step']
        left = running.seconds_left(job, done, line, written)
        return State(state.number, job.key, step, job.total, line['loss'], left)

    def _end(self) -> None:
        """End what still runs; its record says that it was interrupted."""
        for _, running in self._running.values():
            running.process.ask_to_end()
        for job, running in self._running.values():
            running.process.stop()
            record = running.note()
            record['status'] = records.INTERRUPTED
            records.write_record(job.folder, record)
            self.status[job.key] = records.INTERRUPTED
        self._running.clear()
