"""How a job becomes a command: by which launcher, on which devices, with how many threads."""

import os
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch

from ...utils.errors import one_line
from ...utils.measure import available_cores
from ..suites import SuiteError
from ..suites.jobs import Job
from ..suites.options import as_arguments, nearest

LAUNCHERS = ('none', 'pytorch', 'slurm')
# In the source tree .mim is a folder of links, in an installed package it holds the files.
_TRAIN = (Path(__file__).parents[2] / '.mim' / 'tools' / 'train.py').resolve()


@dataclass(frozen=True)
class Launch:
    """How runs become processes.

    Args:
        jobs: runs at once.
        launcher: 'none', 'pytorch' (torch.distributed.run), or 'slurm': jobs of a cluster.
        processes: of each run, with a launcher.
        slurm: submitit's parameters, e.g. ``dict(partition='gpu', timeout_min=1440, nodes=1)``.
        gpus: the devices that runs are spread over; None: those that are visible.

    Raises:
        SuiteError: values that do not go together.
    """

    jobs: int = 1
    launcher: str = 'none'
    processes: int = 1
    slurm: dict[str, Any] = field(default_factory=dict)
    gpus: Optional[Sequence[str]] = None

    def __post_init__(self) -> None:
        if self.gpus is None:
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            named = [of for of in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if of]
            object.__setattr__(self, 'gpus', (named or list(map(str, range(count))))[:count])
        for name in ('jobs', 'processes', 'nodes'):
            if not isinstance(count := getattr(self, name), int) or count < 1:
                option = f'--{"slurm " * (name == "nodes")}{name}'
                raise SuiteError(f'{option} must be an integer of at least 1, got {count!r}')
        if self.launcher not in LAUNCHERS:
            raise SuiteError(f'--launcher must be one of {LAUNCHERS}, got {self.launcher!r}')
        if self.launcher == 'none' and self.processes > 1:
            raise SuiteError(
                f'--processes {self.processes} needs --launcher pytorch or --launcher slurm'
            )
        if self.slurm and self.launcher != 'slurm':
            raise SuiteError('--slurm needs --launcher slurm')
        if self.processes % self.nodes:
            raise SuiteError(
                f'--processes {self.processes} cannot be spread over nodes={self.nodes}'
            )
        if self.launcher == 'pytorch' and self.gpus and self.processes > len(self.gpus):
            raise SuiteError(
                f'--processes {self.processes}: only {len(self.gpus)} GPUs are visible'
            )

    @property
    def nodes(self) -> int:
        """Of each run, on a cluster."""
        return self.slurm.get('nodes', 1)

    def check_devices(self) -> None:
        """SuiteError where the launcher needs GPUs and there are none; not for a dry run."""
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
        threads = max(1, available_cores() // (self.jobs * self.processes))
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
    """The words of the command that trains a job with our own tool and these options; SuiteError
    for an option that cannot be handed over on a command line."""
    command = [str(_TRAIN), str(job.run.config), '--work-dir', str(job.folder), '--resume']
    if launch.launcher == 'pytorch':
        torchrun = ['-m', 'torch.distributed.run', '--nproc_per_node', str(launch.processes)]
        command = [*torchrun, '--master_port', str(_free_port()), *command]
    if launch.launcher == 'pytorch' or launch.processes > 1:
        command += ['--launcher', launch.launcher]
    return [sys.executable, *command, '--cfg-options', *as_arguments(options, str(job.key))]


def slurm_parameters(launch: Launch) -> dict[str, Any]:
    """submitit's for each run, also where no slurm is; SuiteError for one that it does not take."""
    try:
        import submitit
    except ImportError as error:
        raise SuiteError('--launcher slurm needs submitit: pip install submitit') from error
    per_node = launch.processes // launch.nodes
    parameters = dict(name='mmrazor_tat', nodes=1, tasks_per_node=per_node, gpus_per_node=per_node)
    parameters.update(timeout_min=1440, slurm_array_parallelism=launch.jobs)
    shared = submitit.AutoExecutor._valid_parameters()
    known = shared | submitit.SlurmExecutor._valid_parameters()
    for name, value in launch.slurm.items():
        if name not in known:
            raise SuiteError(f'--slurm has no {name!r}{nearest(name, sorted(known))}')
        parameters[name if name in shared else f'slurm_{name}'] = value
    try:  # submitit's stand-in looks at the types
        submitit.AutoExecutor('.', 'debug').update_parameters(**parameters)
    except (AssertionError, TypeError, ValueError) as error:
        raise SuiteError(f'--slurm: {one_line(str(error))}') from error
    return parameters


def as_line(command: list[str], environment: dict[str, str]) -> str:
    """A command as it would be typed."""
    return ' '.join([*(f'{k}={v}' for k, v in environment.items()), shlex.join(command)])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
