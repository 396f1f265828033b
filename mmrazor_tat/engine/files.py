"""Files that a kill cannot leave half written."""

import os
from pathlib import Path
from typing import Any

import torch


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, with its folder; it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.tmp')
    unfinished.write_text(text, encoding='utf-8')
    os.replace(unfinished, path)


def save_atomically(content: Any, path: Path) -> None:
    """Write a checkpoint, with its folder; it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.tmp')
    try:
        torch.save(content, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
