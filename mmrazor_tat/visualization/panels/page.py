"""The panels as a section of a web page: what its template takes."""

from dataclasses import dataclass

import numpy as np

from ..web_page import image_uri
from .legends import Entry, class_legend, error_legend
from .paint import column_titles, row_cells
from .results import Comparison, Sample

# Pictures below this (pixels) are shown enlarged, each pixel a square.
_SMALL = 256


@dataclass(frozen=True)
class CellContext:
    """A picture of a row: ``uri`` for ``src``, ``alt``, what stands under it, how it is scaled."""

    uri: str
    alt: str
    caption: str
    pixelated: bool


@dataclass(frozen=True)
class SectionContext:
    """A title and rows of cells."""

    title: str
    rows: list[list[CellContext]]


@dataclass(frozen=True)
class PanelsContext:
    """What the macros of ``panels.html.j2`` take.

    Attributes:
        images: how many were evaluated, in words.
        columns: (title, mIoU or '') of each.
        networks: (name, mIoU) of each, as text.
        class_rows: (class, IoU of each network), as text; '-' for a class that does not occur.
        sections: the rows.
        classes, errors: the legends; ``more_classes`` are left out of the first.
    """

    images: str
    columns: list[tuple[str, str]]
    networks: list[tuple[str, str]]
    class_rows: list[tuple[str, list[str]]]
    sections: list[SectionContext]
    classes: list[Entry]
    more_classes: int
    errors: list[Entry]


def panels_context(comparison: Comparison) -> PanelsContext:
    """A comparison as the templates take it, images included."""
    classes, more = class_legend(comparison)
    ious = np.stack([s.class_iou for s in comparison.scores], axis=1)
    return PanelsContext(
        images=comparison.images_text,
        columns=column_titles(comparison),
        networks=[(s.name, f'{s.miou:.2f}') for s in comparison.scores],
        class_rows=[
            (name, ['-' if np.isnan(value) else f'{value:.2f}' for value in row])
            for name, row in zip(comparison.classes, ious)
        ],
        sections=[
            SectionContext(s.title, [_row(comparison, sample) for sample in s.samples])
            for s in comparison.sections
        ],
        classes=classes,
        more_classes=more,
        errors=error_legend(comparison),
    )


def _row(comparison: Comparison, sample: Sample) -> list[CellContext]:
    return [
        CellContext(
            uri=image_uri(cell.picture),
            alt=f'{sample.name}: {cell.column}',
            caption=cell.caption,
            pixelated=max(cell.picture.shape[:2]) < _SMALL,
        )
        for cell in row_cells(comparison, sample)
    ]
