"""What mmengine writes for people, read by a program: WORK_DIR/START/START.log."""

import re
from datetime import datetime
from pathlib import Path
from typing import Optional

_HEADS = ('System environment:', 'Runtime environment:')
_RULE = re.compile(r'-{20,}$')
_SETTING = re.compile(r' {4}([^\s:][^:]*): ?(.*)')
_TIME = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ', re.MULTILINE)
_RESUMED = re.compile(r'resumed epoch: \d+, iter: (\d+)')


def read_text_log(start: Path) -> str:
    """The log of the first process of a start; empty where there is none."""
    path = start / f'{start.name}.log'
    return path.read_text(encoding='utf-8', errors='replace') if path.is_file() else ''


def environment(text: str) -> dict[str, str]:
    """Machine and settings, as mmengine lists them at the beginning; empty where it does not.

    A value of several lines keeps them.
    """
    found: dict[str, str] = {}
    inside, name = False, None
    for line in text.splitlines():
        if line in _HEADS:
            inside, name = True, None
        elif inside and _RULE.match(line):
            break
        elif inside and (match := _SETTING.match(line)):
            name = match[1]
            found[name] = match[2]
        elif inside and name is not None and line.strip():
            found[name] += f'\n{line.strip()}'
    return found


def seconds(text: str) -> Optional[float]:
    """From the first line with a time to the last; None where fewer than two have one."""
    times = [datetime.strptime(time, '%Y/%m/%d %H:%M:%S') for time in _TIME.findall(text)]
    return (times[-1] - times[0]).total_seconds() if len(times) > 1 else None


def resumed_at(text: str) -> Optional[int]:
    """The iteration of the checkpoint that a start went on from, where the log tells."""
    found = _RESUMED.search(text)
    return int(found[1]) if found else None
