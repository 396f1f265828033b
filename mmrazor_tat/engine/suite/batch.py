"""One warning about all runs of a suite whose learning rate is not meant for their batch."""

from collections.abc import Sequence
from typing import Optional

from ..batch import Batch

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
