"""The cells of a picture: image, label and predictions, painted."""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..figures import BLUE, ORANGE
from .results import Comparison, Sample

WHITE = (255, 255, 255)

# What became of a pixel.
RIGHT, GAIN, LOSS, WRONG, IGNORED = range(5)
# Blue and orange for what distillation changed, between light and dark for what it did not: told
# apart by colour-blind readers, and by their lightness alone.
ERROR_COLOURS = ('#D4D4D4', BLUE, ORANGE, '#2B2B2B', '#FFFFFF')


def rgb(colour: str) -> tuple[int, int, int]:
    """'#RRGGBB' -> (R, G, B), 0 to 255."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def paint_label(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class ids (H, W) -> RGB (H, W, 3) uint8; what is no class (ignored pixels) is white.

    Args:
        palette: (C, 3) RGB.
    """
    is_class = (label >= 0) & (label < len(palette))
    colours = np.vstack([palette, WHITE]).astype(np.uint8)
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
        plain_right = plain == label
        errors[right & ~plain_right] = GAIN
        errors[~right & plain_right] = LOSS
    errors[label == ignore_index] = IGNORED
    return errors.astype(np.uint8)


def paint_errors(errors: np.ndarray) -> np.ndarray:
    """(H, W) of :func:`error_map` -> RGB (H, W, 3) uint8."""
    return np.array([rgb(c) for c in ERROR_COLOURS], np.uint8)[errors]


@dataclass(frozen=True)
class Cell:
    """A picture, (H, W, 3) uint8 RGB, with what stands under it; ``column`` is its heading."""

    column: str
    picture: np.ndarray
    caption: str
    is_photo: bool = False


def column_titles(comparison: Comparison) -> list[tuple[str, str]]:
    """(title, mIoU of all images) over each column; the second is '' where there is none."""
    networks = [(s.name, f'{s.miou:.2f} mIoU') for s in comparison.scores]
    return [('image', ''), ('label', ''), *networks, ('error map', '')]


def row_cells(comparison: Comparison, sample: Sample) -> list[Cell]:
    """Image, label, a prediction of each network, error map."""
    student, plain = comparison.predictions(sample)
    errors = error_map(sample.label, student, plain, comparison.ignore_index)
    maps = [(sample.label, '')]
    maps += [(p, f'{m:.1f} mIoU') for p, m in zip(sample.predictions, sample.miou)]
    pictures = [(sample.image, sample.name)]
    pictures += [(paint_label(ids, comparison.palette), caption) for ids, caption in maps]
    pictures.append((paint_errors(errors), comparison.describe_difference(sample)))
    return [
        Cell(title, picture, caption, is_photo=i == 0)
        for i, ((title, _), (picture, caption)) in enumerate(
            zip(column_titles(comparison), pictures)
        )
    ]
