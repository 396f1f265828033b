"""What mmengine logged of a run: the lines of its scalars.json files."""

import json
import math
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
    return [line for start in read_starts(folder) for line in start]


def read_starts(folder: Path) -> list[list[dict[str, Any]]]:
    """The lines of :func:`read_lines`, a list for each start of the run; some may be empty."""
    starts = []
    for path in log_files(folder):
        lines = map(parse_line, path.read_text(encoding='utf-8').splitlines())
        starts.append([line for line in lines if line and isinstance(line.get('step'), int)])
    return starts


def parse_line(text: str) -> Optional[dict[str, Any]]:
    """A line of the log; None for the half of one that a killed run has left."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def diverged_at(losses: dict[int, float]) -> Optional[int]:
    """Since which iteration the loss is no finite number, up to the end.

    Not finite for a while and then again is a step that was left out, as with AMP.

    Args:
        losses: by iteration.
    """
    since = None
    for iteration in sorted(losses, reverse=True):
        if math.isfinite(losses[iteration]):
            break
        since = iteration
    return since
