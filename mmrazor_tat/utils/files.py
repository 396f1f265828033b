"""Files that a kill cannot leave half written."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.fileio import LocalBackend, register_backend


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name to write to; what is there becomes ``path`` in the end, or nothing does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.tmp')
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, with its folder; it is never there in part."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding='utf-8')


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write a file, with its folder; it is never there in part, nor after a loss of power.

    OSError where it cannot be written, with its size and the room; what was there before still is.
    """
    try:
        with replacing(path) as unfinished, unfinished.open('wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        folder = next(folder for folder in path.parents if folder.is_dir())
        free = shutil.disk_usage(folder).free
        raise OSError(
            error.errno,
            f'{path} ({len(content) / 2**20:.1f} MiB) cannot be written: '
            f'{error.strerror or error}; {free / 2**20:,.1f} MiB are free there. What was written '
            'before is as it was',
        ) from error


def save_atomically(content: Any, path: Path) -> None:
    """Write a checkpoint, with its folder; it is never there in part."""
    with replacing(path) as unfinished:
        torch.save(content, unfinished)


NAME = 'mmrazor_tat.atomic'


class AtomicBackend(LocalBackend):
    """mmengine's ``LocalBackend``, whose ``put`` a kill or a full disk cannot cut through."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        write_bytes_atomically(Path(filepath), bytes(obj))


class RemovesLater(AtomicBackend):
    """Keeps what it is told to remove until :meth:`remove_now`.

    mmengine's ``CheckpointHook`` makes room before it writes: a kill in between would leave none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[Path, int] = {}

    def remove(self, filepath: Union[str, Path]) -> None:
        path = Path(filepath)
        self._waiting[path] = path.stat().st_mtime_ns

    def remove_now(self) -> None:
        """Remove what waits for it, unless it has been written anew."""
        for path, written in self._waiting.items():
            if path.exists() and path.stat().st_mtime_ns == written:
                path.unlink()
        self._waiting.clear()


register_backend(NAME, AtomicBackend, force=True)
