"""What mmengine logged of a run: the lines of its scalars.json files."""

import json
from pathlib import Path
from typing import Any, Optional


def log_files(folder: Path) -> list[Path]:
    """Those of a work dir, a file for each start, oldest first."""
    return sorted(folder.glob('*/vis_data/scalars.json'))  # named by the time of the start


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """What a run logged, over all its starts, in the order of writing.

    Args:
        folder: its work dir.

    Returns:
        A dict for each line that has a step. Lines of the training have 'loss', 'iter', 'lr' and
        the losses by name; lines of a validation have metrics.
    """
    lines = []
    for path in log_files(folder):
        for text in path.read_text(encoding='utf-8').splitlines():
            line = parse_line(text)
            if line is not None and isinstance(line.get('step'), int):
                lines.append(line)
    return lines


def parse_line(text: str) -> Optional[dict[str, Any]]:
    """A line of the log; None for the half of one that a killed run has left."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
