"""Whether a run can go on from a checkpoint: completely, or not at all."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from torch import Tensor, nn

from ..models.checkpoint_file import read_checkpoint
from ..models.teacher_identity import KEY as IDENTITY
from .checkpoints import regular_checkpoints

_SHOWN = 3


def newest_readable(folders: Iterable[Path]) -> tuple[Optional[Path], dict[Path, str]]:
    """The newest checkpoint by iteration (or epoch) that can be read, and what is wrong with newer.

    Raises:
        ValueError: there are checkpoints, and none can be read.
    """
    found = [path for folder in folders for path in regular_checkpoints(folder, complete=False)]
    damaged: dict[Path, str] = {}
    for path in reversed(found):
        try:
            open_run(str(path))
        except ValueError as error:
            damaged[path] = str(error)
            continue
        return path, damaged
    if damaged:
        raise ValueError(
            'resume: none of the checkpoints can be read: '
            + '; '.join(damaged.values())
            + '. Move them away to start from the beginning'
        )
    return None, damaged


def open_run(checkpoint: str) -> dict[str, Any]:
    """What a checkpoint of a run holds, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no checkpoint of a run, or one without optimizer and schedules.
    """
    path = Path(checkpoint).expanduser()
    # torch does not compare the checksums of what it reads.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
        if bad is not None:
            raise ValueError(f'resume {checkpoint!r} is damaged: its part {bad} is not as written')
    content = read_checkpoint(checkpoint, 'resume')
    meta = content.get('meta') if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping) or not isinstance(meta.get('iter'), int):
        raise ValueError(
            f'resume {checkpoint!r} does not say which iteration it is of: it is no checkpoint of '
            'a run, whose weights can be loaded with load_from'
        )
    lacking = [part for part in ('state_dict', 'message_hub', 'optimizer') if part not in content]
    if lacking:
        raise ValueError(
            f'resume {checkpoint!r} has no {", ".join(lacking)}: it was written to be evaluated, '
            'not resumed (as best_*.pth are): take iter_N.pth or epoch_N.pth'
        )
    return content


def check_fits(content: Mapping[str, Any], model: nn.Module, checkpoint: str) -> None:
    """Compare the weights of a checkpoint with those of the model that is to go on from it.

    Raises:
        ValueError: names are missing or unexpected, or shapes differ; nothing has been loaded.
    """
    given, own = dict(content['state_dict']), model.state_dict()
    for weights in (given, own):
        weights.pop(IDENTITY, None)  # the model compares teachers itself
    shapes = [
        f'{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}'
        for name, value in own.items()
        if isinstance(given.get(name), Tensor) and given[name].shape != value.shape
    ]
    problems = [
        _few(kind, names)
        for kind, names in (
            ('without', [name for name in own if name not in given]),
            ('with unknown', [name for name in given if name not in own]),
            ('with', shapes),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f'resume {checkpoint!r} is of another model than the config: it is '
            + '; '.join(problems)
            + '. Nothing has been loaded'
        )


def _few(kind: str, names: list[str]) -> str:
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return f'{kind} {", ".join(names[:_SHOWN])}{more}'
