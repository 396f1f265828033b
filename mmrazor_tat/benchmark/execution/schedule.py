"""Many runs: which is next, what became of each, and what happens when one of them fails."""

import time
from collections.abc import Callable
from typing import Any, Optional

from ...utils.work_dir import keep_last, last_checkpoint, point_to_last, read_record
from ..suites.jobs import Job, Key
from ..suites.networks import draw
from . import records
from .executors import Executor, Task, signals_to
from .launch import Command, Launch, as_line
from .progress import Progress, duration

WAITING, SKIPPED = 'waiting', 'skipped'
_SECONDS_BETWEEN_LOOKS = 0.3


class Schedule:
    """Runs the jobs of a suite, teachers among them, in order, and keeps a record of each.

    A finished job is not run again, an interrupted or failed one goes on from its last checkpoint.
    A job waits for its teacher, and is skipped where that fails. ``about`` is kept in every record;
    ``after_each`` is called after each job that has finished or failed.
    """

    def __init__(
        self,
        jobs: list[Job],
        metric: str,
        launch: Launch,
        executor: Executor,
        progress: Progress,
        about: dict[str, Any],
        command: Command,
        after_each: Callable[[], None],
    ) -> None:
        self.jobs = {job.key: job for job in jobs}
        self._numbers = {job.key: number for number, job in enumerate(jobs, start=1)}
        self.metric, self.launch, self.progress = metric, launch, progress
        self.executor, self._about = executor, about
        self._command, self._after_each = command, after_each
        self._running: dict[Key, str] = {}  # what the executor calls it
        self._log_starts: dict[Key, int] = {}
        self._begun: dict[Key, float] = {}
        self._seconds: dict[Key, float] = {}  # of the finished ones
        self.status: dict[Key, str] = {}
        self.stopped_by: Optional[int] = None  # a signal
        for job in jobs:
            self.status[job.key] = WAITING
            record = read_record(job.folder)
            if record is not None:
                self._settle_earlier(job, record)

    def keys(self, status: str) -> list[Key]:
        """The jobs of one status, in order."""
        return [key for key, value in self.status.items() if value == status]

    def run(self) -> None:
        """Run what is not finished; returns when all is done, or a signal asks to end."""
        with signals_to(lambda number: setattr(self, 'stopped_by', number)):
            try:
                while self.stopped_by is None:
                    self._submit()
                    if not self._running:
                        break
                    for key, name in list(self._running.items()):
                        if (ended := self.executor.poll(name)) is not None:
                            del self._running[key]
                            self._settle(self.jobs[key], *ended)
                    self._update()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            finally:
                self._leave()

    def _settle_earlier(self, job: Job, record: dict[str, Any]) -> None:
        """Note what has nothing left to train; its record may not say so yet."""
        results = records.read_results(job.folder, self.metric)
        status = record['status']
        is_complete = records.is_complete(job, self.metric, results)
        if status != records.FINISHED and not is_complete:
            if status == records.RUNNING and self.executor.outlives and record.get('job'):
                self._running[job.key] = record['job']  # an earlier call's, which still goes on
                self.status[job.key] = records.RUNNING
            return
        if results['diverged_at'] is not None:
            # To train on, or once more from the start, would end no better.
            record.update(status=records.FAILED, error=records.diverged(results), results=None)
            records.write_record(job.folder, record)
            self.status[job.key] = records.FAILED
        elif status == records.FINISHED:
            self._note_finished(job, record)
        elif status != records.FAILED:
            self._conclude(job, record, results)

    def _submit(self) -> None:
        """Hand over what the executor has room for."""
        for key in self.keys(WAITING):
            teacher = self.jobs[key].teacher
            if teacher is not None and self.status[teacher] in (records.FAILED, SKIPPED):
                self.status[key] = SKIPPED
                self.progress.event(f'{key} skipped: {teacher.run} failed', self._numbers[key])
        found: list[tuple[Job, Task]] = []
        failed = False
        for key in self.keys(WAITING):
            job = self.jobs[key]
            if len(found) >= self.executor.room or self.stopped_by is not None:
                break
            if job.teacher is not None and not self._may_follow(job.teacher):
                continue
            try:
                found.append((job, self._task(job)))
            except (Exception, SystemExit) as error:  # e.g. weights that cannot be downloaded
                self._fail(job, read_record(job.folder), f'{type(error).__name__}: {error}', [])
                failed = True
        found.sort(key=lambda of: self._numbers[of[0].teacher] if of[1].after else 0)  # by teacher
        names = self.executor.submit([task for _, task in found]) if found else ()
        for (job, task), name in zip(found, names):
            of = dict(status=records.RUNNING, job=name)
            of['command'] = as_line(task.command, task.environment)
            records.write_record(job.folder, read_record(job.folder) | of)
            self.status[job.key] = records.RUNNING
            self._running[job.key] = name
            self._begun[job.key] = time.time()
            checkpoint = last_checkpoint(job.folder)
            how = 'started' if checkpoint is None else f'resumed from {checkpoint.name}'
            self.progress.event(f'{job.key} {how}', self._numbers[job.key])
        if self.executor.takes_dependent and found or failed:
            self._submit()  # the students of what has just been queued; those of what failed

    def _may_follow(self, teacher: Key) -> bool:
        """Whether a teacher has ended, or can be queued behind."""
        if self.status[teacher] == records.FINISHED:
            return True
        is_queued = teacher in self._running and self.jobs[teacher].total is not None
        return self.executor.takes_dependent and is_queued

    def _task(self, job: Job) -> Task:
        """What starts a job, or goes on with it; its folder is made ready."""
        checkpoint = point_to_last(job.folder) if job.folder.exists() else None
        record = records.of_start(job, checkpoint, self._about)
        self._note_use(job, record)
        records.write_record(job.folder, record)
        if checkpoint is None:
            records.discard_logs(job.folder)
        options, after = dict(job.options), None
        if job.teacher is not None:
            teacher = self.jobs[job.teacher]
            after = self._running.get(job.teacher)
            checkpoint = records.teacher_checkpoint(teacher, is_done=after is None)
            options['model.teacher_ckpt'] = str(checkpoint)
        if job.start is not None:
            draw(job.start)
        command = self._command(job, options, self.launch)
        log = job.folder / 'run.log'
        self._log_starts[job.key] = log.stat().st_size if log.exists() else 0
        return Task(command, job.folder, after)

    def _note_use(self, job: Job, record: dict[str, Any]) -> None:
        use = records.read_use(job.folder, record.get('begun_anew', 0))
        record['starts'], record['seconds'], record['peak_mib'] = use

    def _settle(self, job: Job, code: int, reason: Optional[str]) -> None:
        record = read_record(job.folder)
        results = records.read_results(job.folder, self.metric)
        validated = results['metrics'].get(self.metric)
        if code == 0 and results['diverged_at'] is not None:
            self._fail(job, record, records.diverged(results), [])
        elif code == 0 and validated is not None:
            self._conclude(job, record, results)
            self.progress.event(
                f'{job.key} finished: {self.metric} {validated["last"]:.2f} '
                f'(best {validated["best"]:.2f}) in {duration(record["seconds"])}',
                self._numbers[job.key],
            )
            self._after_each()
        else:
            since = self._log_starts.get(job.key, 0)
            error, tail = records.read_error(job.folder, self.metric, code, since)
            self._fail(job, record, reason or error, tail)

    def _conclude(self, job: Job, record: dict[str, Any], results: dict[str, Any]) -> None:
        keep_last(job.folder)
        self._note_use(job, record)
        record.update(status=records.FINISHED, error=None, log_tail=[], results=results)
        records.write_record(job.folder, record)
        self._note_finished(job, record)

    def _note_finished(self, job: Job, record: dict[str, Any]) -> None:
        self.status[job.key] = records.FINISHED
        self._seconds[job.key] = record['seconds']

    def _fail(self, job: Job, record: dict[str, Any], reason: str, tail: list[str]) -> None:
        self._note_use(job, record)
        record.update(status=records.FAILED, error=reason, log_tail=tail)
        records.write_record(job.folder, record)
        self.status[job.key] = records.FAILED
        self.progress.event(f'{job.key} failed: {reason}', self._numbers[job.key])
        self._after_each()

    def _update(self) -> None:
        """Say what runs, and how long the suite will take: each run as the mean of those known."""
        running = [
            (str(key), time.time() - self._begun.get(key, time.time())) for key in self._running
        ]
        left = None
        if self._seconds:
            typical = sum(self._seconds.values()) / len(self._seconds)
            rest = sum(max(0.0, typical - seconds) for _, seconds in running)
            left = (rest + typical * len(self.keys(WAITING))) / self.launch.jobs
        self.progress.update(running, left)

    def _leave(self) -> None:
        """End what still runs, where it would not go on by itself; its record says so."""
        if self.executor.outlives or not self._running:
            return
        self.executor.cancel(list(self._running.values()))
        for key in self._running:
            job, record = self.jobs[key], read_record(self.jobs[key].folder)
            self._note_use(job, record)
            record['status'] = self.status[key] = records.INTERRUPTED
            records.write_record(job.folder, record)
        self._running.clear()
