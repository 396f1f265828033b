"""Names of runs in a legend."""

from collections.abc import Sequence

from .run import Run


def labels_of(runs: Sequence[Run]) -> list[str]:
    """The label of each, else the name of its folder, with as many parents as tell it from others.

    Raises:
        ValueError: two runs have the same label, or the same folder.
    """
    parts = [run.folder.absolute().parts for run in runs]
    names = [run.label or path[-1] for run, path in zip(runs, parts)]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        clashing = [n for n, name in enumerate(names) if names.count(name) > 1]
        for n in clashing:
            if not runs[n].label:
                names[n] = '/'.join(parts[n][-depth:])
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f'two runs are named {name!r}: give them labels')
    return names
