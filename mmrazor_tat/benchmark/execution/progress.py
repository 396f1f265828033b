"""What is printed while a suite runs: a line for each event, and one that is updated."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Optional, TextIO

_SECONDS_BETWEEN_LINES = 30


class Progress:
    """Prints the course of a suite.

    Args:
        count: of all jobs.
        stream: where to; on a terminal the state of the running jobs is updated in place.
        every: seconds between two lines of state where it is no terminal.
    """

    def __init__(
        self,
        count: int,
        stream: Optional[TextIO] = None,
        every: float = _SECONDS_BETWEEN_LINES,
    ) -> None:
        self.count, self._every = count, every
        self._stream = stream or sys.stdout
        self._width = 0  # of the line that is updated
        self._last = time.monotonic()

    def event(self, text: str, number: Optional[int] = None) -> None:
        """One line; ``number``: of the job that it is about."""
        self._clear()
        print(text if number is None else f'{self._prefix(number)} {text}', file=self._stream)
        self._stream.flush()

    def update(self, states: Sequence[tuple[int, str]], left: Optional[float]) -> None:
        """Show how far the running jobs are, (number, text) each; call it as often as you like."""
        lines = [f'{self._prefix(number)} {text}' for number, text in states]
        rest = f'   suite {duration(left)} left'
        if self._stream.isatty():
            line = (' | '.join(lines) + rest)[: shutil.get_terminal_size().columns - 1]
            self._clear()
            self._stream.write(line)
            self._width = len(line)
        elif time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            for line in lines:
                print(line + rest, file=self._stream)
        self._stream.flush()

    def _prefix(self, number: int) -> str:
        return f'[{number:{len(str(self.count))}}/{self.count}]'

    def _clear(self) -> None:
        if self._width:
            self._stream.write('\r' + ' ' * self._width + '\r')
            self._width = 0


def duration(seconds: Optional[float]) -> str:
    """1:05, 2:01:05; '?' where it is not known."""
    if seconds is None:
        return '?'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'
