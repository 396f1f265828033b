"""Which runs of a suite a call names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .errors import SuiteError, nearest


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
