"""The pictures of a row, for the PNG and for the page."""

from dataclasses import dataclass

import numpy as np

from .paint import error_map, paint_errors, paint_label
from .results import Comparison, Sample


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
