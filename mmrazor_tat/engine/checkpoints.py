"""Which checkpoint a run goes on from, whenever it was killed."""

import re
import time
import zipfile
from pathlib import Path
from typing import Optional

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from .files import write_atomically

_POINTER = 'last_checkpoint'  # mmengine's


def step_of(checkpoint: Path) -> int:
    """The iteration (or epoch) in a checkpoint's name."""
    return int(re.search(r'_(\d+)$', checkpoint.stem).group(1))


def pointed_at(folder: Path) -> Optional[str]:
    """What mmengine's pointer in a work dir names; None: there is none, or it is empty."""
    try:
        return (folder / _POINTER).read_text(encoding='utf-8').strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def regular_checkpoints(folder: Path, complete: bool = True) -> list[Path]:
    """Those that a run can resume from, oldest first.

    Args:
        folder: of the run.
        complete: leave out those that were cut off in writing.
    """
    found = [
        path
        for path in folder.glob('*.pth')
        if re.fullmatch(r'(iter|epoch)_\d+', path.stem)
        and (not complete or zipfile.is_zipfile(path))
    ]
    return sorted(found, key=step_of)


def last_checkpoint_of(runner: Runner) -> Optional[Path]:
    """The newest complete checkpoint that a training has written, or went on from."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    folder = (hooks[0].out_dir if hooks else None) or runner.work_dir
    start = time.mktime(time.strptime(runner.timestamp, '%Y%m%d_%H%M%S'))
    own = [path for path in regular_checkpoints(Path(folder)) if path.stat().st_mtime >= start]
    if own:
        return own[-1]
    return Path(runner._load_from) if runner._resume and runner._load_from else None


def last_checkpoint(folder: Path) -> Optional[Path]:
    """The newest complete checkpoint of a run."""
    return (regular_checkpoints(folder) or [None])[-1]


def point_to_last(folder: Path) -> Optional[Path]:
    """Make mmengine's ``--resume`` find the newest complete checkpoint; gives it.

    mmengine writes its pointer after the checkpoint and as an absolute path: a run that was killed
    or moved in between would not find what is there.
    """
    checkpoint = last_checkpoint(folder)
    if checkpoint is None:
        (folder / _POINTER).unlink(missing_ok=True)
    else:
        write_atomically(folder / _POINTER, str(checkpoint))
    return checkpoint


def keep_last(folder: Path) -> None:
    """Delete the checkpoints before the last; the best one stays."""
    for path in regular_checkpoints(folder)[:-1]:
        path.unlink()
