"""Where trainings run: this machine, or a cluster. Each can submit, poll and cancel."""

import contextlib
import itertools
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Protocol

from ...utils.errors import one_line
from ..suites import SuiteError
from .launch import Launch, as_line, slurm_parameters

_WORKER = str(Path(__file__).with_name('worker.py'))
_SECONDS_TO_BE_KILLED = 60  # slurm's KillWait is 30
_PATIENCE = 45  # seconds; the worker gives a training 40


@dataclass
class Task:
    """One start of a job, which submitit calls on the node that it is given."""

    command: list[str]
    folder: Path  # its work dir, where its output goes to ``run.log``
    after: Optional[str] = None  # the job of its teacher, where that is still to end
    environment: dict[str, str] = field(default_factory=dict)  # besides the present one

    def start(self, ends_with_parent: bool) -> subprocess.Popen:
        """The training as a process, in a session of its own: Ctrl-C does not reach it."""
        parent = os.getpid() if ends_with_parent else 0
        words = [sys.executable, '-I', '-S', _WORKER, str(self.folder), str(parent), *self.command]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / 'run.log').open('ab') as log:
            title = f'\n# {time.strftime("%F %T")} {as_line(self.command, self.environment)}\n'
            log.write(title.encode())
            log.flush()
            return subprocess.Popen(
                words,
                env={**os.environ, 'PYTHONUNBUFFERED': '1', **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __call__(self) -> None:
        """Train to the end, on a cluster; raises RuntimeError where it fails."""
        if int(os.environ.get('SLURM_PROCID', 0)) > 0:  # the first process notes for all
            code = subprocess.call(self.command, env={**os.environ, **self.environment})
        else:
            code = self.start(ends_with_parent=True).wait()
        if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            time.sleep(_SECONDS_TO_BE_KILLED)  # the job is taken back: it has no result yet
        if code != 0:
            raise RuntimeError(f'exit status {code}')

    def checkpoint(self) -> Any:
        """Called by submitit before a preemption or a time-out: the same again goes on exactly."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Executor(Protocol):
    """Where the trainings of a suite run; one of your own goes to ``run_suite(executor=...)``."""

    outlives: bool  # whether tasks go on without the call that submitted them
    takes_dependent: bool  # whether it takes tasks whose teacher is still to end
    room: int  # how many tasks it takes now

    def submit(self, tasks: Sequence[Task]) -> Iterator[str]:
        """Start or queue tasks, in order; gives the name of each as soon as that is done.

        SuiteError where one is refused.
        """

    def poll(self, name: str) -> Optional[tuple[int, Optional[str]]]:
        """(exit status, why it is not known); None while the task waits or runs."""

    def cancel(self, names: Sequence[str]) -> None:
        """End tasks and all that they started; where they outlive it, an earlier call's too."""


class LocalExecutor:
    """A place on this machine for each of ``launch.jobs`` trainings; they end with this process."""

    outlives = takes_dependent = False

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._running: dict[str, tuple[int, subprocess.Popen]] = {}

    @property
    def room(self) -> int:
        return self._launch.jobs - len(self._running)

    def submit(self, tasks: Sequence[Task]) -> Iterator[str]:
        for task in tasks:
            taken = {slot for slot, _ in self._running.values()}
            slot = min(set(range(self._launch.jobs)) - taken)
            task.environment = self._launch.environment(slot)
            process = task.start(ends_with_parent=True)
            self._running[str(process.pid)] = slot, process
            yield str(process.pid)

    def poll(self, name: str) -> Optional[tuple[int, Optional[str]]]:
        code = self._running[name][1].poll()
        if code is None:
            return None
        del self._running[name]
        return code, None

    def cancel(self, names: Sequence[str]) -> None:
        for name in names:
            self._running[name][1].terminate()
        until = time.monotonic() + _PATIENCE
        for name in names:
            _, process = self._running.pop(name)
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class ClusterExecutor:
    """Jobs of a cluster by submitit; they go on without this process.

    Tasks that wait for nothing are one array, at most ``launch.jobs`` of it at once, and so are the
    students of each teacher, which depend on it. A task that is preempted or runs out of time is
    queued again and goes on from its last checkpoint.

    Args:
        launch: with submitit's parameters.
        folder: for submitit's own files; every node must see it.
        cluster: 'slurm'; submitit's 'local' and 'debug' are for trials. SuiteError where there is
            none.
    """

    outlives = True
    room = sys.maxsize

    def __init__(self, launch: Launch, folder: Path, cluster: str = 'slurm') -> None:
        parameters = slurm_parameters(launch)
        import submitit

        logging.getLogger('submitit').setLevel(logging.ERROR)  # there need be no sacct
        self.takes_dependent = cluster == 'slurm'
        self._refused = submitit.core.utils.FailedJobError
        self._launch, self._folder, self._jobs = launch, folder, {}
        self._looks: tuple = (-math.inf, None, None)
        try:
            self._executor = submitit.AutoExecutor(folder, cluster, slurm_max_num_timeout=1000)
            self._executor.update_parameters(**parameters)
        except (RuntimeError, TypeError, ValueError) as error:
            raise SuiteError(f'--launcher slurm: {one_line(str(error))}') from error

    def submit(self, tasks: Sequence[Task]) -> Iterator[str]:
        for after, of_one_teacher in itertools.groupby(tasks, lambda task: task.after):
            waits = dict(dependency=f'afterok:{after}', kill_on_invalid_dep='yes') if after else {}
            self._executor.update_parameters(slurm_additional_parameters=waits)
            jobs = []
            try:
                with self._executor.batch():
                    for task in of_one_teacher:
                        task.environment = self._launch.environment(0)
                        jobs.append(self._executor.submit(task))
            except self._refused as error:  # sbatch's own words
                raise SuiteError(f'--launcher slurm: {one_line(str(error))}') from error
            self._jobs.update({job.job_id: job for job in jobs})
            yield from [job.job_id for job in jobs]

    def poll(self, name: str) -> Optional[tuple[int, Optional[str]]]:
        job = self._job(name)
        if job.done():
            return int(job.exception() is not None), None
        if self.takes_dependent and not self._is_queued(name):
            return 1, f'job {name} has left the queue without a result (see {self._folder})'
        return None

    def cancel(self, names: Sequence[str]) -> None:
        for name in names:
            self._job(name).cancel()

    def _job(self, name: str) -> Any:
        if name not in self._jobs:  # an earlier call's
            from submitit import SlurmJob

            self._jobs[name] = SlurmJob(self._folder, name, list(range(self._launch.processes)))
        return self._jobs[name]

    def _is_queued(self, name: str) -> bool:
        """By squeue, which every slurm has; gone is what two looks in a row do not see."""
        looked, *seen = self._looks
        if time.monotonic() - looked > 10:
            words = ['squeue', '--me', '--noheader', '--array', '--format=%i']
            run = subprocess.run(words, capture_output=True, text=True)
            seen = [None if run.returncode else set(run.stdout.split()), seen[0]]
            self._looks = time.monotonic(), *seen
        return None in seen or any(name in names for names in seen)


@contextlib.contextmanager
def signals_to(stop: Callable[[int], None]) -> Iterator[None]:
    """Within, the signals that ask a process to end call ``stop``; the second time they end it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def handle(number: int, _) -> None:
        stop(number)
        for other in numbers:
            signal.signal(other, lambda number, _: os._exit(128 + number))

    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
