"""A run's log against iterations: starts joined, validations placed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ...utils.work_dir import check_work_dir, read_starts

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """What a run logged; what it did twice counts as it was done last.

    Attributes:
        folder: its work dir.
        label: its name in a legend; None: made from the folder.
        training: a dict for each line of the training, with 'iter', in order.
        validation: the same of the validations; 'iter' is the iteration at which each was made,
            also where the log counts epochs.
    """

    folder: Path
    label: Optional[str] = None
    training: Lines = field(default_factory=list, repr=False)
    validation: Lines = field(default_factory=list, repr=False)

    @property
    def iterations(self) -> int:
        """The last iteration of any line."""
        return max(line['iter'] for line in self.training + self.validation)


def read_runs(folders: Sequence[Path], labels: Optional[Sequence[str]] = None) -> list[Run]:
    """Several runs, see :func:`read_run`.

    Raises:
        FileNotFoundError, ValueError: as there; a folder given twice; labels of another number than
            the folders, or twice the same.
    """
    folders = list(map(Path, folders))
    for n, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:n]]:
            raise ValueError(f'{str(folder)!r} is given twice')
    if labels is not None and len(labels) != len(folders):
        raise ValueError(f'{len(labels)} labels for {len(folders)} runs: {", ".join(labels)}')
    for label in labels or ():
        if list(labels).count(label) > 1:
            raise ValueError(f'label {label!r} is given to several runs')
    return [read_run(*pair) for pair in zip(folders, labels or [None] * len(folders))]


def read_run(folder: Path, label: Optional[str] = None) -> Run:
    """The log of a run, over all its starts.

    A resumed run does the iterations after its checkpoint once more: of these, the later start
    counts.

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
        trained = [line for line in start if _is_training(line)]
        validated = _placed(start, training)
        if trained:
            begin = trained[0]['iter']
            if not _is_training(start[0]):  # the resumed weights were validated first
                begin = validated[0]['iter'] + 1
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
    return Run(folder, label, training, sorted(validation, key=lambda line: line['iter']))


def _is_training(line: dict[str, Any]) -> bool:
    return 'iter' in line


def _placed(start: Lines, before: Lines) -> Lines:
    """The validations of a start with the iterations at which they were made.

    A validation's step counts iterations or, in an epoch-based run, maybe epochs: then it is the
    epoch of the training line before it.

    Args:
        start: all its lines.
        before: the training of earlier starts.
    """
    length = epoch_length(before + [line for line in start if _is_training(line)])
    last = before[-1] if before else None
    validated = []
    for line in start:
        if _is_training(line):
            last = line
            continue
        step = line['step']
        if last is not None and step <= last.get('epoch', -1) and step < last['iter']:
            step = round(step * length) if length else last['iter']
        validated.append({**line, 'iter': step})
    return validated


def epoch_length(training: Lines) -> Optional[float]:
    """Iterations in an epoch: from the first line of one to the first line of the next.

    None of one epoch alone, or of a run that counts none.
    """
    firsts: dict[int, int] = {}
    for line in training:
        if 'epoch' in line:
            firsts.setdefault(line['epoch'], line['iter'])
    if len(firsts) < 2:
        return None
    (epoch, iteration), (last_epoch, last_iteration) = min(firsts.items()), max(firsts.items())
    return (last_iteration - iteration) / (last_epoch - epoch)
