"""What is printed while a suite runs: a line for each event, and one that is updated."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional, TextIO

from ..suites.jobs import Key

_SECONDS_BETWEEN_LINES = 30


@dataclass(frozen=True)
class State:
    """How far a running job is."""

    number: int  # in the order of the suite
    key: Key
    step: Optional[int] = None  # iterations, or epochs
    total: Optional[int] = None
    loss: Optional[float] = None
    seconds_left: Optional[float] = None


class Progress:
    """Prints the course of a suite.

    Args:
        count: of all jobs.
        stream: where to; on a terminal the state of the running jobs is updated in place.
        every: seconds between two lines of state where it is no terminal.
        clock: tells the seconds.
    """

    def __init__(
        self,
        count: int,
        stream: Optional[TextIO] = None,
        every: float = _SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count = count
        self._stream = stream or sys.stdout
        self._every, self._clock = every, clock
        self._is_terminal = self._stream.isatty()
        self._width = 0  # of the line that is updated
        self._last = clock()

    def event(self, text: str, number: Optional[int] = None) -> None:
        """One line; ``number``: of the job that it is about."""
        self._clear()
        print(text if number is None else f'{self._prefix(number)} {text}', file=self._stream)
        self._stream.flush()

    def update(self, states: Sequence[State], suite_left: Optional[float]) -> None:
        """Show how far the running jobs are; call it as often as you like."""
        rest = f'suite {duration(suite_left)} left'
        if self._is_terminal:
            line = ' | '.join(map(self._line, states)) + f'   {rest}'
            line = line[: shutil.get_terminal_size().columns - 1]
            self._clear()
            self._stream.write(line)
            self._width = len(line)
        elif self._clock() - self._last >= self._every:
            self._last = self._clock()
            for state in states:
                print(f'{self._line(state)}   {rest}', file=self._stream)
        self._stream.flush()

    def _prefix(self, number: int) -> str:
        return f'[{number:{len(str(self.count))}}/{self.count}]'

    def _line(self, state: State) -> str:
        parts = [f'{self._prefix(state.number)} {state.key}']
        if state.step is None:
            return f'{parts[0]}   starting'
        width = len(str(state.total or ''))
        parts.append(f'{state.step:{width}}' + (f'/{state.total}' if state.total else ''))
        if state.loss is not None:
            parts.append(f'loss {state.loss:.3f}')
        if state.seconds_left is not None:
            parts.append(f'{duration(state.seconds_left)} left')
        return '  '.join(parts)

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


def suite_seconds_left(
    finished: dict[Key, float],
    running: dict[Key, tuple[float, Optional[float]]],
    waiting: Sequence[Key],
    jobs: int,
) -> Optional[float]:
    """How long a suite still takes.

    A job is taken to last as long as the finished ones of its run, else as the mean of all that is
    known.

    Args:
        finished: their seconds.
        running: seconds so far, and seconds left where they are known.
        waiting: not begun.
        jobs: at once.

    Returns:
        Seconds; None as long as nothing is known.
    """
    by_run: dict[str, list[float]] = {}
    for key, seconds in finished.items():
        by_run.setdefault(key.run, []).append(seconds)
    for key, (so_far, left) in running.items():
        if left is not None:
            by_run.setdefault(key.run, []).append(so_far + left)
    if not by_run:
        return None
    means = {name: sum(values) / len(values) for name, values in by_run.items()}
    typical = sum(means.values()) / len(means)
    total = sum(means.get(key.run, typical) for key in waiting)
    for key, (so_far, left) in running.items():
        expected = means.get(key.run, typical) - so_far
        total += max(0.0, expected) if left is None else left
    # Never less than the longest of those that run now.
    longest = max([left for _, left in running.values() if left is not None], default=0.0)
    return max(total / jobs, longest)
