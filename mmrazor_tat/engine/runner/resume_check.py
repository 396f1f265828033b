"""Whether a run can go on from a checkpoint: completely, or not at all."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from ...compat.checkpoint_file import read_checkpoint
from ...utils.work_dir import pointed_at, regular_checkpoints, step_of

_TRUST = '; where it is your own, --trust-checkpoints loads it, code and all'


def newest_readable(
    folders: Sequence[Path],
) -> tuple[Optional[str], dict[str, str]]:
    """The checkpoint to go on from, and what is wrong with those that would come before it.

    That is the one that mmengine's pointer 'last_checkpoint' names, or a later one of its run that
    was written when the run was killed before the pointer was. Without a pointer, or where that
    one is damaged: what was written last.

    Args:
        folders: that may hold checkpoints; the first is the work dir.

    Raises:
        ValueError: there are checkpoints, and none can be read.
    """
    damaged: dict[str, str] = {}
    for checkpoint in _in_order(folders):
        try:
            open_run(checkpoint)
        except (ValueError, FileNotFoundError) as error:
            damaged[checkpoint] = str(error)
            continue
        return checkpoint, damaged
    if damaged:
        raise ValueError(
            'resume: none of the checkpoints can be read: '
            + '; '.join(damaged.values())
            + '. Move them away to start from the beginning'
        )
    return None, damaged


def _in_order(folders: Sequence[Path]) -> list[str]:
    found = [path for folder in folders for path in regular_checkpoints(folder, complete=False)]
    found.sort(key=lambda path: (path.stat().st_mtime_ns, step_of(path)), reverse=True)
    named = pointed_at(folders[0]) if folders else None
    if named is None:
        return [str(path) for path in found]
    path = Path(named)
    if not path.is_file():  # on other storage, or of a folder that has been moved
        here = [of for of in found if of.name == path.name]
        first = [named] if '://' in named else []
        return [*first, *map(str, here), *(str(of) for of in found if of not in here)]
    found = [of for of in found if of.resolve() != path.resolve()]
    written = path.stat().st_mtime_ns
    # Of an earlier run in the same folder there may be a higher number, but none that is newer.
    newer = [of for of in found if of.stat().st_mtime_ns > written and _is_later(of, path)]
    return [*map(str, newer), str(path), *(str(of) for of in found if of not in newer)]


def _is_later(one: Path, other: Path) -> bool:
    names = [re.fullmatch(r'(.*?)(\d+)', path.stem) for path in (one, other)]
    if None in names:
        return False
    (kind, step), (other_kind, other_step) = (name.groups() for name in names)
    return kind == other_kind and int(step) > int(other_step)


def open_run(checkpoint: str) -> dict[str, Any]:
    """What a checkpoint of a run holds, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no checkpoint of a run, or one without optimizer and schedules.
    """
    path = Path(checkpoint).expanduser()
    # torch does not compare the checksums of what it reads.
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as file:
                bad = file.testzip()
        except Exception as error:  # what a damaged directory makes zipfile raise is many things
            raise ValueError(f'resume {checkpoint!r} is damaged: {error}') from error
        if bad is not None:
            raise ValueError(f'resume {checkpoint!r} is damaged: its part {bad} is not as written')
    content = read_checkpoint(checkpoint, 'resume', trust_advice=_TRUST)
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
