"""A run's log against iterations: starts joined, validations placed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import pandas as pd

from ...utils.work_dir import check_work_dir, read_starts

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """What a run logged, a column a name, by iteration, also where the log counts epochs (see
    :func:`series`); what it did twice counts as it was done last."""

    folder: Path
    label: Optional[str] = None  # in a legend; None: made from the folder
    training: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    validation: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def iterations(self) -> int:
        """The last iteration of any line."""
        return int(max(*self.training.index[-1:], *self.validation.index[-1:], 0))


def series(table: pd.DataFrame, name: str) -> pd.Series:
    """What was logged under a name, by iteration; NaN where that is no finite number."""
    if name not in table:
        return pd.Series(dtype=float)
    return table[name].dropna().replace([math.inf, -math.inf], math.nan)


def read_runs(folders: Sequence[Path], labels: Optional[Sequence[str]] = None) -> list[Run]:
    """Several runs, see :func:`read_run`.

    Raises:
        FileNotFoundError, ValueError: as there; labels of another number than the folders, or twice
            the same, or a folder given twice.
    """
    if labels is not None and len(labels) != len(folders):
        raise ValueError(f'{len(labels)} labels for {len(folders)} runs: {", ".join(labels)}')
    runs = [read_run(*pair) for pair in zip(folders, labels or [None] * len(folders))]
    return [replace(run, label=label) for run, label in zip(runs, labels_of(runs))]


def read_run(folder: Path, label: Optional[str] = None) -> Run:
    """The log of a run, over all its starts.

    Args:
        folder: its work dir.
        label: its name in a legend.

    Raises:
        FileNotFoundError: there is no log, see :func:`check_work_dir`.
        ValueError: the log holds no line yet.
    """
    folder = Path(folder)
    check_work_dir(folder)
    training: Lines = []
    validation: Lines = []
    for start in read_starts(folder):
        trained = [line for line in start if 'iter' in line]
        validated = _placed(start, training)
        if trained:
            # Else the resumed weights were validated first.
            begin = trained[0]['iter'] if 'iter' in start[0] else validated[0]['iter'] + 1
            training = [line for line in training if line['iter'] < begin] + trained
            validation = [line for line in validation if line['iter'] < begin]
        else:  # an evaluation alone, as Runner.val() makes it, knows no iteration
            validated = [line for line in validated if line['iter'] > 0]
        again = [line['iter'] for line in validated]
        validation = [line for line in validation if line['iter'] not in again] + validated
    if not training and not validation:
        raise ValueError(
            f'{str(folder)!r}: no line in {folder}/*/vis_data/scalars.json yet; the first is '
            'written after default_hooks.logger.interval iterations'
        )
    return Run(folder, label, _table(training), _table(validation).sort_index())


def _table(lines: Lines) -> pd.DataFrame:
    """By iteration. What was not logged is NaN, what is no finite number infinite."""
    values = [
        {k: math.inf if isinstance(v, float) and math.isnan(v) else v for k, v in line.items()}
        for line in lines
    ]
    table = pd.DataFrame(values, index=pd.Index([line['iter'] for line in lines], dtype=int))
    return table.apply(pd.to_numeric, errors='coerce')


def _placed(start: Lines, before: Lines) -> Lines:
    """The validations of a start with the iterations at which they were made; ``before``: the
    training of earlier starts.

    A validation's step counts iterations or, in an epoch-based run, maybe epochs: then it is the
    epoch of the training line before it.
    """
    firsts: dict[int, int] = {}  # logged iterations of the epochs
    for line in (*before, *start):
        if 'iter' in line and 'epoch' in line:
            firsts.setdefault(line['epoch'], line['iter'])
    length = 0
    if len(firsts) > 1:
        (epoch, iteration), (last_epoch, last_iteration) = min(firsts.items()), max(firsts.items())
        length = (last_iteration - iteration) / (last_epoch - epoch)
    last = before[-1] if before else None
    validated = []
    for line in start:
        if 'iter' in line:
            last = line
            continue
        step = line['step']
        if last is not None and step <= last.get('epoch', -1) and step < last['iter']:
            step = round(step * length) or last['iter']
        validated.append({**line, 'iter': step})
    return validated


def labels_of(runs: Sequence[Run]) -> list[str]:
    """The label of each, else the name of its folder, with as many parents as tell it from others.

    Raises:
        ValueError: two runs have the same label, or the same folder.
    """
    parts = [run.folder.absolute().parts for run in runs]
    names = [run.label or path[-1] for run, path in zip(runs, parts)]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        for n in [n for n, name in enumerate(names) if names.count(name) > 1]:
            names[n] = runs[n].label or '/'.join(parts[n][-depth:])
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f'two runs are named {name!r}: give them labels')
    return names
