"""Files that a kill cannot leave half written."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch


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

    Raises:
        OSError: it cannot be written; what was there before still is. The error names the file,
            its size and the room that there is.
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
