"""The jobs of a plan: a run with one seed, its settings and what it waits for."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ...utils.batch import Batch
from .definition import Run
from .networks import Shapes, Start

_NAMED_RUNS = 3
_LAUNCH = '--launcher pytorch --processes {}'


class Key(NamedTuple):
    """Which job: a run and a seed."""

    run: str
    seed: int

    def __str__(self) -> str:
        return f'{self.run} seed {self.seed}'


@dataclass(frozen=True)
class Job:
    """One training."""

    key: Key
    run: Run
    folder: Path
    options: dict[str, Any]  # for --cfg-options; the teacher's checkpoint is added at its start
    settings: dict[str, str]  # all that decides about its result, by name
    teacher: Optional[Key]
    start: Optional[Start]
    unit: str  # 'iter' or 'epoch': what its length, its validations and checkpoints count
    total: Optional[int]
    shapes: Callable[[], Optional[Shapes]]  # of the network that is trained
    batch: Optional[Batch] = None  # None where the config does not tell

    @property
    def parameters(self) -> Optional[int]:
        """Of the network that is trained; None where it cannot be built without its data."""
        return getattr(self.shapes(), 'parameters', None)

    @property
    def fingerprint(self) -> str:
        return digest(self.settings)


def digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fits(name: str, only: Optional[Sequence[str]]) -> bool:
    """Whether a run is asked for, by its name or a shell pattern such as ``resnet56-*``."""
    return only is None or any(fnmatchcase(name, pattern) for pattern in only)


def batch_warning(jobs: Sequence[Job]) -> Optional[str]:
    """One text about all runs whose learning rate is not meant for their batch.

    Returns:
        A line for each kind of batch; None where all fit.
    """
    batches = {job.key.run: job.batch for job in jobs}
    groups: dict[Batch, list[str]] = {}
    for name, batch in batches.items():
        if batch is not None and not batch.fits:
            groups.setdefault(batch, []).append(name)
    lines = []
    for batch, names in groups.items():
        more = f' and {len(names) - _NAMED_RUNS} more' * (len(names) > _NAMED_RUNS)
        who = f'{", ".join(names[:_NAMED_RUNS])}{more} train{"s" * (len(names) == 1)}'
        if len(names) == len(batches) > 1:
            who = f'all {len(names)} runs train'
        lines.append(f'warning: {who} with {batch.complaint(_LAUNCH)}')
    return '\n'.join(lines) or None
