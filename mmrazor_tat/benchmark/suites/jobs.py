"""The jobs of a plan: a run with one seed, its settings and what it waits for."""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

from mmengine import Config

from ...utils.batch import Batch
from ...utils.configs import read_config_file
from .definition import Run
from .networks import Start


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
    val_interval: Optional[int]
    parameters: Optional[int]  # of the network that is trained
    batch: Optional[Batch] = None  # None where the config does not tell

    @property
    def fingerprint(self) -> str:
        return digest(self.settings)


def logged_by_iterations(cfg: Config) -> dict[str, Any]:
    """What a run by iterations needs so that its validations are told apart.

    mmengine numbers them by epochs unless it is told otherwise, as mmseg's configs do: in a run by
    iterations all of them then have number 0.
    """
    logger = (cfg.get('default_hooks') or {}).get('logger') or {}
    by_epoch = 'max_epochs' in (cfg.get('train_cfg') or {})
    if by_epoch or not logger.get('log_metric_by_epoch', True):
        return {}
    return {'default_hooks.logger.log_metric_by_epoch': False}


@functools.cache
def read_config(path: Path, changed: int) -> Config:
    """A config's file; mmengine takes a second for one with bases of mmseg."""
    return read_config_file(path)


def digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
