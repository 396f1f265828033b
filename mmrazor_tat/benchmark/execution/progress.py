"""What is printed while a suite runs: a line for each event, and now and then what runs."""

import sys
import time
from collections.abc import Sequence
from typing import Optional, TextIO


class Progress:
    """Prints the course of a suite.

    Args:
        count: of all jobs.
        stream: where to.
        every: seconds between two lines of what runs.
    """

    def __init__(self, count: int, stream: Optional[TextIO] = None, every: float = 60.0) -> None:
        self.count, self._every = count, every
        self._stream = stream or sys.stdout
        self._last = time.monotonic()

    def event(self, text: str, number: Optional[int] = None) -> None:
        """One line; ``number``: of the job that it is about."""
        place = '' if number is None else f'[{number:{len(str(self.count))}}/{self.count}] '
        print(place + text, file=self._stream, flush=True)

    def update(self, running: Sequence[tuple[str, float]], left: Optional[float]) -> None:
        """(name, seconds so far) of what runs, and what is left; call it as often as you like."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            names = ', '.join(f'{name} ({duration(seconds)})' for name, seconds in running)
            self.event(f'running: {names}; suite {duration(left)} left')


def duration(seconds: Optional[float]) -> str:
    """1:05, 2:01:05; '?' where it is not known."""
    if seconds is None:
        return '?'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'
