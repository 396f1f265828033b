"""What the colours of the panels mean."""

from dataclasses import dataclass

import numpy as np

from .networks import PLAIN, STUDENT
from .paint import ERROR_COLOURS, GAIN, IGNORED, LOSS, RIGHT, WRONG
from .results import Comparison

# A data set has up to hundreds of classes: those with the most pixels in what is shown.
MOST_CLASSES = 30


@dataclass(frozen=True)
class Entry:
    """A colour, '#rrggbb', and its meaning."""

    name: str
    colour: str


def class_legend(comparison: Comparison) -> tuple[list[Entry], int]:
    """The classes in the labels and predictions that are shown.

    Returns:
        At most :data:`MOST_CLASSES`, in the order of the data set; and how many more there are.
        White stands for ignored pixels, where there are any.
    """
    num_classes = len(comparison.classes)
    pixels = np.zeros(num_classes, np.int64)
    for sample in comparison.samples:
        for ids in (sample.label, *sample.predictions):
            is_class = (ids >= 0) & (ids < num_classes)
            pixels += np.bincount(ids[is_class], minlength=num_classes)
    occurring = [i for i in np.argsort(-pixels, kind='stable') if pixels[i]]
    entries = [
        Entry(
            comparison.classes[i].replace('_', ' '),
            '#{:02x}{:02x}{:02x}'.format(*comparison.palette[i]),
        )
        for i in sorted(occurring[:MOST_CLASSES])
    ]
    if _has_ignored(comparison):
        entries.append(Entry('ignored', '#ffffff'))
    return entries, max(0, len(occurring) - MOST_CLASSES)


def error_legend(comparison: Comparison) -> list[Entry]:
    """The colours of the error maps."""
    names = {RIGHT: 'right', WRONG: 'wrong'}
    if (plain := comparison.position(PLAIN)) is not None:
        student = comparison.scores[comparison.position(STUDENT)].name
        names = {
            RIGHT: 'both right',
            GAIN: f'only {student} right',
            LOSS: f'only {comparison.scores[plain].name} right',
            WRONG: 'both wrong',
        }
    if _has_ignored(comparison):
        names[IGNORED] = 'ignored'
    return [Entry(name, ERROR_COLOURS[kind].lower()) for kind, name in names.items()]


def _has_ignored(comparison: Comparison) -> bool:
    return any((s.label == comparison.ignore_index).any() for s in comparison.samples)
