"""Whether a run can go on from a checkpoint: completely, or not at all."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from ..models.checkpoint_file import read_checkpoint
from .checkpoints import regular_checkpoints


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
