"""Files that a kill cannot leave half written."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a text file, with its folder; it is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.tmp')
    unfinished.write_text(text, encoding='utf-8')
    os.replace(unfinished, path)
