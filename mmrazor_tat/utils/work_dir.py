"""What a work dir holds: logs and checkpoints."""

import contextlib
import itertools
import json
import math
import re
import time
import zipfile
from pathlib import Path
from typing import Any, Optional

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from .files import write_atomically

_LOG = '*/vis_data/scalars.json'
_SHOWN = 10
# What mmengine logs with every line.
NO_METRICS = ('step', 'iter', 'epoch', 'lr', 'time', 'data_time', 'memory')


def check_work_dir(folder: Path) -> None:
    """Raise FileNotFoundError unless a folder is the work dir of a run; names those that fit."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'there is no folder {str(folder)!r} (looked from {Path.cwd()})')
    if log_files(folder):
        return
    # Those of runs, at most three levels deep, as in the folder of a suite: OUT/runs/NAME/seed0.
    logs = [log for depth in (1, 2, 3) for log in folder.glob('*/' * depth + _LOG)]
    error = f'{str(folder)!r} is no work dir of a run: there is no {folder / _LOG}'
    if (folder / 'vis_data' / 'scalars.json').is_file():
        error += f'; it is one start of {str(folder.absolute().parent)!r}, which fits'
    elif fitting := sorted({log.parents[2] for log in logs}):
        more = f' and {len(fitting) - _SHOWN} more' if len(fitting) > _SHOWN else ''
        error += f'; below it fit {", ".join(map(str, fitting[:_SHOWN]))}{more}'
    raise FileNotFoundError(error)


def log_files(folder: Path) -> list[Path]:
    """Those of a work dir, a file for each start, oldest first."""
    return sorted(folder.glob('*/vis_data/scalars.json'))  # named by the time of the start


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """What a run logged, over all its starts, in the order of writing: a dict a line.

    Lines of the training have 'loss', 'iter', 'lr' and the losses by name; those of a validation
    metrics.
    """
    return [line for start in read_starts(folder) for line in start]


def read_starts(folder: Path) -> list[list[dict[str, Any]]]:
    """The lines of :func:`read_lines`, a list for each start of the run; some may be empty."""
    starts = []
    for path in log_files(folder):
        lines = []
        for text in path.read_text(encoding='utf-8').splitlines():
            with contextlib.suppress(ValueError):  # the half of one that a killed run has left
                lines.append(json.loads(text))
        whole = [line for line in lines if isinstance(line, dict)]
        starts.append([line for line in whole if isinstance(line.get('step'), int)])
    return starts


def diverged_at(losses: dict[int, float]) -> Optional[int]:
    """Since which iteration the loss is no finite number, up to the end; ``losses``: by iteration.

    Not finite for a while and then again is a step that was left out, as with AMP.
    """
    bad = list(itertools.takewhile(lambda n: not math.isfinite(losses[n]), sorted(losses)[::-1]))
    return bad[-1] if bad else None


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
    """Those that a run can resume from, oldest first; not ``complete``: cut off ones too."""
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

    mmengine's own is an absolute path, written after the checkpoint: a kill may be between.
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


def read_record(folder: Path) -> Optional[dict[str, Any]]:
    """What a suite knows of the run in ``folder``, its run.json; None where none was begun."""
    path = folder / 'run.json'
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else None
