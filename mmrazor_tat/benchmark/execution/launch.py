"""One run as a process of its own: its command, its surroundings, its end."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch

from ..suites.jobs import Job
from ..suites.options import SuiteError, as_arguments

LAUNCHERS = ('none', 'pytorch', 'slurm')
# In the source tree .mim is a folder of links, in an installed package it holds the files.
_TRAIN = (Path(__file__).parents[2] / '.mim' / 'tools' / 'train.py').resolve()
_WRAPPER = Path(__file__).with_name('die_with_parent.py')
_SECONDS_TO_END = 40  # torchrun gives its workers 30


@dataclass(frozen=True)
class Launch:
    """How runs become processes.

    Args:
        jobs: runs at once.
        launcher: 'none', 'pytorch' (torch.distributed.run) or 'slurm' (srun).
        processes: of each run, with a launcher.
        srun_args: further arguments of srun.
        gpus: the devices that runs are spread over; None: those that are visible.

    Raises:
        SuiteError: values that do not go together.
    """

    jobs: int = 1
    launcher: str = 'none'
    processes: int = 1
    srun_args: Sequence[str] = ()
    gpus: Optional[Sequence[str]] = None

    def __post_init__(self) -> None:
        if self.gpus is None:
            object.__setattr__(self, 'gpus', _visible_gpus())
        for name in ('jobs', 'processes'):
            if getattr(self, name) < 1:
                raise SuiteError(f'--{name} must be at least 1, got {getattr(self, name)}')
        if self.launcher not in LAUNCHERS:
            raise SuiteError(f'--launcher must be one of {LAUNCHERS}, got {self.launcher!r}')
        if self.launcher == 'none' and self.processes > 1:
            raise SuiteError(
                f'--processes {self.processes} needs --launcher pytorch or --launcher slurm'
            )
        if self.srun_args and self.launcher != 'slurm':
            raise SuiteError('--srun-args needs --launcher slurm')
        if self.launcher == 'pytorch' and self.gpus and self.processes > len(self.gpus):
            raise SuiteError(
                f'--processes {self.processes}: only {len(self.gpus)} GPUs are visible'
            )

    def check_devices(self) -> None:
        """Before anything is started; to name the commands no GPU is needed.

        Raises:
            SuiteError: the launcher needs GPUs and there are none.
        """
        if self.launcher == 'pytorch' and not self.gpus:
            raise SuiteError(
                "--launcher pytorch needs a GPU for each process (mmengine's launcher sets it as "
                'the CUDA device), and torch finds none here: leave --launcher out, the runs of '
                '--jobs share the cores'
            )

    @property
    def threads(self) -> Optional[int]:
        """Of a process on a CPU; None where the runs have GPUs, or are on other machines."""
        if self.gpus or self.launcher == 'slurm':
            return None
        threads = max(1, _cores() // (self.jobs * self.processes))
        given = os.environ.get('OMP_NUM_THREADS', '')
        return min(threads, int(given)) if given.isdigit() and int(given) > 0 else threads

    def environment(self, slot: int) -> dict[str, str]:
        """What is set for the run in one of the ``jobs`` places."""
        environment = {}
        if self.threads is not None:
            environment['OMP_NUM_THREADS'] = str(self.threads)
        if self.launcher == 'slurm':
            environment['MASTER_PORT'] = str(_free_port())  # two runs may share a node
        elif self.gpus:
            first = slot * self.processes
            own = [self.gpus[(first + i) % len(self.gpus)] for i in range(self.processes)]
            environment['CUDA_VISIBLE_DEVICES'] = ','.join(own)
        return environment


Command = Callable[[Job, dict[str, Any], Launch], list[str]]


def train_command(job: Job, options: dict[str, Any], launch: Launch) -> list[str]:
    """The words of the command that trains a job with our own tool.

    Args:
        job: what to train.
        options: all settings to hand over.
        launch: by which launcher.

    Raises:
        SuiteError: an option that cannot be handed over on a command line.
    """
    command = [str(_TRAIN), str(job.run.config), '--work-dir', str(job.folder), '--resume']
    if launch.launcher == 'pytorch':
        torchrun = ['-m', 'torch.distributed.run', '--nproc_per_node', str(launch.processes)]
        command = [*torchrun, '--master_port', str(_free_port()), *command]
    command = [sys.executable, *command]
    if launch.launcher == 'slurm':
        srun = ['srun', f'--ntasks={launch.processes}', f'--job-name={job.key}'.replace(' ', '_')]
        command = [*srun, '--kill-on-bad-exit=1', *launch.srun_args, *command]
    if launch.launcher != 'none':
        command += ['--launcher', launch.launcher]
    return [*command, '--cfg-options', *as_arguments(options, str(job.key))]


def as_line(command: list[str], environment: dict[str, str]) -> str:
    """A command as it would be typed."""
    return ' '.join([*(f'{k}={v}' for k, v in environment.items()), shlex.join(command)])


class Process:
    """A started command, whose output goes to a file, and which ends with this process.

    Args:
        command: its words.
        environment: set besides the present one.
        log: the file that its output is appended to.
        descriptors: that it inherits.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        log: Path,
        descriptors: Sequence[int] = (),
    ) -> None:
        self._own_peak = _resident_peak('self') or 0
        self._peak: Optional[int] = None
        with log.open('ab') as output:
            title = f'\n# {time.strftime("%F %T")} {as_line(command, environment)}\n'
            output.write(title.encode())
            output.flush()
            self.log_start = output.tell()
            # A session of its own: Ctrl-C on the terminal reaches the runner alone, which ends all.
            self._popen = subprocess.Popen(
                [sys.executable, '-I', '-S', str(_WRAPPER), str(os.getpid()), *command],
                env={**os.environ, 'PYTHONUNBUFFERED': '1', **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(descriptors),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def peak_mib(self) -> Optional[float]:
        """Peak of its resident memory so far; None where the system does not tell."""
        return None if self._peak is None else self._peak / 2**20

    def poll(self) -> Optional[int]:
        """Its exit status; None while it runs."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        self._note_peak(_resident_peak(self.pid))
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        # Of the process and of all that it waited for. The system counts what this process held
        # when it forked as well, so a smaller figure is not the child's.
        of_child = usage.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
        if of_child > self._own_peak or self._peak is None:
            self._note_peak(of_child)
        return self._popen.returncode

    def ask_to_end(self) -> None:
        """SIGTERM to it and to all that it started."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGTERM)

    def stop(self, patience: float = _SECONDS_TO_END) -> None:
        """Wait until it has ended after :meth:`ask_to_end`; after ``patience`` seconds SIGKILL."""
        until = time.monotonic() + patience
        while self.poll() is None:
            if time.monotonic() > until:
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.05)

    def _note_peak(self, value: Optional[int]) -> None:
        if value is not None:
            self._peak = max(self._peak or 0, value)


def _resident_peak(pid: int | str) -> Optional[int]:
    """Bytes; Linux alone tells it of a running process."""
    try:
        status = Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return None
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith('VmHWM')]
    return 1024 * int(peaks[0]) if peaks else None


def _visible_gpus() -> list[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name for name in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if name]
    return (named or [str(number) for number in range(count)])[:count]


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
