"""Label maps and errors as colours."""

from typing import Optional

import numpy as np

from ..figures import BLUE, ORANGE

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
