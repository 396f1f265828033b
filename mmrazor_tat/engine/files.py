"""Files that a kill cannot leave half written."""

import contextlib
import os
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


def save_atomically(content: Any, path: Path) -> None:
    """Write a checkpoint, with its folder; it is never there in part."""
    with replacing(path) as unfinished:
        torch.save(content, unfinished)
