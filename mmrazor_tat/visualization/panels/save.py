"""Writing a comparison: a picture, or a web page that stands alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...utils.files import write_atomically
from ..web_page import image_uri, render
from .paint import Cell, class_legend, column_titles, error_legend, row_cells
from .picture import draw_panels
from .results import Comparison, Sample

ENDINGS = ('.png', '.html')
# matplotlib draws at most 2^16 pixels from top to bottom.
MOST_IN_PICTURE = 200
# Pictures below this (pixels) are shown enlarged on a page, each pixel a square.
_SMALL = 256


def check_out(path: Path, count: int = 1) -> None:
    """Raise ValueError where :func:`save_panels` would not write ``count`` images to a path."""
    path = Path(path)
    if path.suffix == '.png' and count > MOST_IN_PICTURE:
        raise ValueError(
            f'count {count}: a .png shows at most {MOST_IN_PICTURE} images; name an .html by --out'
        )
    if path.suffix not in ENDINGS:
        raise ValueError(f'--out {str(path)!r} must end with {" or ".join(ENDINGS)}')
    if path.is_dir():
        raise ValueError(f'--out {str(path)!r} is a folder')


def save_panels(
    comparison: Comparison,
    path: Path,
    title: str = 'Segmentation panels',
    details: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the panels; the file is never there in part, and one of that name is replaced.

    Args:
        comparison: what to show.
        path: .png: a picture. .html: a page that refers to nothing outside, with the IoU of every
            class as well. Anything else is a ValueError.
        title: heading of the page.
        details: (what, value) pairs below it: configs, checkpoints.
    """
    path = Path(path)
    check_out(path, len(comparison.samples))
    if path.suffix == '.png':
        draw_panels(comparison, path)
        return
    context = panels_context(comparison)
    page = render('panels_page.html.j2', title=title, details=details, context=context)
    write_atomically(path, page)


def panels_context(comparison: Comparison) -> dict[str, Any]:
    """A comparison as the macros of ``panels.html.j2`` take it, images included.

    Returns:
        'images' (how many were evaluated, in words); 'columns', (title, mIoU or '') of each;
        'networks', (name, mIoU); 'class_rows', (class, IoU of each network), '-' for a class that
        does not occur; 'sections', a title and rows of cells; 'classes' and 'errors', the legends,
        with 'more_classes' left out of the first.
    """

    def cell_of(sample: Sample, cell: Cell) -> dict[str, Any]:
        is_small = max(cell.picture.shape[:2]) < _SMALL
        alt = f'{sample.name}: {cell.column}'
        return dict(uri=image_uri(cell.picture), alt=alt, caption=cell.caption, pixelated=is_small)

    classes, more = class_legend(comparison)
    ious = np.stack([s.class_iou for s in comparison.scores], axis=1)
    return dict(
        images=comparison.images_text,
        columns=column_titles(comparison),
        networks=[(s.name, f'{s.miou:.2f}') for s in comparison.scores],
        class_rows=[
            (name, ['-' if np.isnan(value) else f'{value:.2f}' for value in row])
            for name, row in zip(comparison.classes, ious)
        ],
        sections=[
            dict(
                title=section.title,
                rows=[
                    [cell_of(sample, cell) for cell in row_cells(comparison, sample)]
                    for sample in section.samples
                ],
            )
            for section in comparison.sections
        ],
        classes=classes,
        more_classes=more,
        errors=error_legend(comparison),
    )


def scores_table(comparison: Comparison) -> str:
    """mIoU of every network as a text table."""
    rows = [(comparison.images_text, 'mIoU')]
    rows += [(s.name, f'{s.miou:.2f}') for s in comparison.scores]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name:{width}}  {value:>6}' for name, value in rows)
