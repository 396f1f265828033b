"""The cells of a picture: image, label and predictions, painted; and what the colours mean."""

from collections.abc import Iterator
from typing import NamedTuple, Optional

import numpy as np

from ..figures import BLUE, ORANGE
from .networks import PLAIN, STUDENT
from .results import Comparison, Sample

# What became of a pixel.
RIGHT, GAIN, LOSS, WRONG, IGNORED = range(5)
# Blue and orange for what distillation changed, between light and dark for what it did not: told
# apart by colour-blind readers, and by their lightness alone.
ERROR_COLOURS = ('#D4D4D4', BLUE, ORANGE, '#2B2B2B', '#FFFFFF')
# A data set has up to hundreds of classes: those with the most pixels in what is shown.
MOST_CLASSES = 30


class Entry(NamedTuple):
    """A colour, '#rrggbb', and its meaning."""

    name: str
    colour: str


class Cell(NamedTuple):
    """A picture, (H, W, 3) uint8 RGB, with what stands under it; ``column`` is its heading."""

    column: str
    picture: np.ndarray
    caption: str


def rgb(colour: str) -> tuple[int, ...]:
    """'#RRGGBB' -> (R, G, B), 0 to 255."""
    return tuple(bytes.fromhex(colour[1:]))


def paint_label(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class ids (H, W) -> RGB (H, W, 3) uint8; what is no class (ignored pixels) is white.

    Args:
        palette: (C, 3) RGB.
    """
    is_class = (label >= 0) & (label < len(palette))
    colours = np.vstack([palette, (255, 255, 255)]).astype(np.uint8)
    return colours[np.where(is_class, label, len(palette))]


def error_map(
    label: np.ndarray, student: np.ndarray, plain: Optional[np.ndarray], ignore_index: int
) -> np.ndarray:
    """What became of every pixel.

    Args:
        label, student, plain: (H, W) class ids; ``plain`` None: the student is judged alone.

    Returns:
        (H, W) uint8: :data:`RIGHT` (both are), :data:`GAIN` (the student alone is right),
        :data:`LOSS` (the plain one alone is), :data:`WRONG` (both are), :data:`IGNORED`.
    """
    right = student == label
    errors = np.where(right, RIGHT, WRONG)
    if plain is not None:
        errors[right & (plain != label)] = GAIN
        errors[~right & (plain == label)] = LOSS
    errors[label == ignore_index] = IGNORED
    return errors.astype(np.uint8)


def column_titles(comparison: Comparison) -> list[tuple[str, str]]:
    """(title, mIoU of all images) over each column; the second is '' where there is none."""
    networks = [(s.name, f'{s.miou:.2f} mIoU') for s in comparison.scores]
    return [('image', ''), ('label', ''), *networks, ('error map', '')]


def row_cells(comparison: Comparison, sample: Sample) -> Iterator[Cell]:
    """Image, label, a prediction of each network, error map."""
    student, plain = comparison.predictions(sample)
    errors = error_map(sample.label, student, plain, comparison.ignore_index)
    maps = [paint_label(ids, comparison.palette) for ids in (sample.label, *sample.predictions)]
    pictures = [sample.image, *maps, np.array([rgb(c) for c in ERROR_COLOURS], np.uint8)[errors]]
    captions = [sample.name, '', *(f'{miou:.1f} mIoU' for miou in sample.miou)]
    captions.append(comparison.describe_difference(sample))
    for (title, _), picture, caption in zip(column_titles(comparison), pictures, captions):
        yield Cell(title, picture, caption)


def class_legend(comparison: Comparison) -> tuple[list[Entry], int]:
    """The classes that are shown, at most :data:`MOST_CLASSES`, and how many more there are."""
    count = len(comparison.classes)
    shown = [ids for s in comparison.samples for ids in (s.label, *s.predictions)]
    pixels = sum(np.bincount(x[(x >= 0) & (x < count)], minlength=count) for x in shown)
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
