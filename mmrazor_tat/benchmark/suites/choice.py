"""Which runs a call names, and one warning about the batches of all of them."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Optional

from ...utils.batch import Batch
from .options import SuiteError, nearest


def choose_runs(runs: Iterable[str], only: Sequence[str]) -> list[str]:
    """Names of runs by name or by shell pattern, such as ``resnet56-*``.

    Args:
        runs: all names; none holds a character of patterns.
        only: what is asked for.

    Returns:
        Those that fit, in the order of ``runs``.

    Raises:
        SuiteError: a name or a pattern that is no run's.
    """
    runs = list(runs)
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in runs):
            raise SuiteError(f'--only: there is no run {pattern!r}{nearest(pattern, runs)}')
    return [name for name in runs if any(fnmatchcase(name, pattern) for pattern in only)]


_NAMED_RUNS = 3


_LAUNCH = '--launcher pytorch --processes {}'


def batch_warning(batches: dict[str, Optional[Batch]]) -> Optional[str]:
    """One text about all runs whose learning rate is not meant for their batch.

    Args:
        batches: by run; None: not known.

    Returns:
        A line for each kind of batch; None where all fit.
    """
    groups: dict[Batch, list[str]] = {}
    for name, batch in batches.items():
        if batch is not None and not batch.fits:
            groups.setdefault(batch, []).append(name)
    lines = [
        f'warning: {_runs(names, len(batches))} {batch.complaint(_LAUNCH)}'
        for batch, names in groups.items()
    ]
    return '\n'.join(lines) or None


def _runs(names: Sequence[str], count: int) -> str:
    if len(names) == count > 1:
        return f'all {count} runs train with'
    more = len(names) - _NAMED_RUNS
    named = ', '.join(names[:_NAMED_RUNS]) + (f' and {more} more' if more > 0 else '')
    return f'{named} train{"s" * (len(names) == 1)} with'
