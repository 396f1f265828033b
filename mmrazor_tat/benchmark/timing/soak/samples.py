"""What a process holds: resident memory, live tensors, Python objects."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
from mmengine.hooks import Hook

_PROCESS = Path('/proc/self')


@dataclass(frozen=True)
class MemorySample:
    """One look at the process.

    Attributes:
        iteration: iterations done.
        resident: bytes of the process in RAM (Linux's RSS), before any garbage is collected.
        children: the same of its children, the workers of data loaders, together. Pages that they
            share with the process count here too.
        tensors: tensors alive after a garbage collection.
        objects: Python objects that the garbage collector follows, after it.
    """

    iteration: int
    resident: int
    children: int
    tensors: int
    objects: int


def check_memory_is_readable() -> None:
    """Raise ValueError where there is no /proc to read memory from."""
    if not (_PROCESS / 'statm').is_file():
        raise ValueError('memory is read from /proc/self/statm, which this system does not have')


def read_memory(iteration: int = 0) -> MemorySample:
    """A sample of this process; collects garbage."""
    resident, children = _resident(_PROCESS), sum(map(_resident, _children()))
    gc.collect()
    objects = gc.get_objects()
    # By type: isinstance would ask lazy objects for their class, which may import things.
    tensors = sum(issubclass(type(x), torch.Tensor) for x in objects)
    return MemorySample(iteration, resident, children, tensors, len(objects))


def _resident(process: Path) -> int:
    try:
        pages = int((process / 'statm').read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):  # a child that has just ended
        return 0
    return pages * os.sysconf('SC_PAGE_SIZE')


def _children() -> list[Path]:
    """All descendants: the fork server or a worker may have children of its own."""
    found, queue = [], [_PROCESS]
    while queue:
        for children in queue.pop().glob('task/*/children'):
            try:
                numbers = children.read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += (processes := [_PROCESS.parent / number for number in numbers])
            queue += processes
    return found


class MemorySampleHook(Hook):
    """Take a :class:`MemorySample` every ``interval`` iterations, and note what happens between.

    Args:
        interval: iterations between two samples.

    Attributes:
        samples: in their order.
        events: iterations by what happened then: 'validation', 'checkpoint'.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.samples: list[MemorySample] = []
        self.events: dict[str, list[int]] = dict(validation=[], checkpoint=[])

    def after_train_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self.samples.append(read_memory(runner.iter + 1))

    def after_val_epoch(self, runner, metrics: Optional[dict] = None) -> None:
        self.events['validation'].append(runner.iter)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if 'optimizer' in checkpoint:  # a student's checkpoint passes here too
            self.events['checkpoint'].append(checkpoint['meta']['iter'])
