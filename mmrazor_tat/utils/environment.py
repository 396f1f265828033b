"""Where a run takes place: its processes, and the versions of the packages."""

import os
import platform
import sys
from importlib import import_module

from mmengine import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from torch import nn

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmrazor', 'mmrazor_tat')
# Named only where they are used: they need not be installed, and most runs do without.
OPTIONAL = ('mmpretrain',)
# What a launcher sets; mmengine reads them without saying who is missing.
_LAUNCHERS = {
    'pytorch': (('RANK', 'WORLD_SIZE'), 'torchrun --nproc_per_node=N tools/train.py ...'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS'), 'srun'),
    'mpi': (('OMPI_COMM_WORLD_LOCAL_RANK',), 'mpirun'),
}
_SHARDED = 'FullyShardedDataParallel'
_WHY = (
    "FSDP (MMFullyShardedDataParallel) is not supported: mmengine's Runner draws and saves the "
    'weights as if each process had all of them, and the teacher is also run outside the wrapper. '
    'Take its default, MMDistributedDataParallel: leave {} out'
)


def check_processes(cfg: Config) -> None:
    """Raise ValueError for a ``cfg.launcher`` that has not started this process, or that finds no
    accelerator, or a config that asks for FSDP or another strategy."""
    launcher = cfg.get('launcher') or 'none'
    if launcher != 'none' and not is_distributed() and get_device() == 'cpu':
        raise ValueError(
            f'launcher {launcher!r}: mmengine starts several processes on GPUs (or other '
            'accelerators) only, and torch finds none here. Run a single process, without '
            '--launcher'
        )
    names, how = _LAUNCHERS.get(launcher, ((), ''))
    if missing := [name for name in names if name not in os.environ]:
        raise ValueError(
            f'--launcher {launcher}: the environment has no {" and no ".join(missing)}; start '
            f'with {how}, or leave --launcher out for a single process'
        )
    wrapper = str((cfg.get('model_wrapper_cfg') or {}).get('type'))
    if _SHARDED in wrapper:
        raise ValueError(f'model_wrapper_cfg.type {wrapper!r}: {_WHY.format("model_wrapper_cfg")}')
    if strategy := cfg.get('strategy'):
        raise ValueError(
            f"strategy {strategy.get('type')!r}: only mmengine's FlexibleRunner knows "
            'strategies, its Runner, which trains here, would ignore it. Leave strategy out'
        )


def refuse_sharded(model: nn.Module) -> None:
    """For those who train by another tool: raise ValueError for a model that is wrapped by FSDP."""
    if any(of.__name__.endswith(_SHARDED) for of in type(model).__mro__):
        raise ValueError(_WHY.format('it'))


def unsynchronised_norms(model: nn.Module) -> list[str]:
    """The distiller's batch norms that see the images of a process, where the student's see all."""
    student, distiller = (getattr(model, n, None) or nn.Module() for n in ('student', 'distiller'))
    if not any(isinstance(module, nn.SyncBatchNorm) for module in student.modules()):
        return []
    plain = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [name for name, module in distiller.named_modules() if isinstance(module, plain)]


def versions(*more: str) -> dict[str, str]:
    """Of Python, of :data:`PACKAGES`, and of ``more``, by the name of the module.

    Those of :data:`OPTIONAL` that this process has imported are among them.
    """
    names = (*PACKAGES, *filter(sys.modules.get, OPTIONAL), *more)
    found = {name: str(import_module(name).__version__) for name in names}
    return {'python': platform.python_version(), **found}
