"""Writing a comparison: a picture, or a web page that stands alone."""

from collections.abc import Sequence
from pathlib import Path

from ...utils.files import write_atomically
from ..web_page import render
from .page import panels_context
from .picture import draw_panels
from .results import Comparison

ENDINGS = ('.png', '.html')
# matplotlib draws at most 2^16 pixels from top to bottom.
MOST_IN_PICTURE = 200


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
            class as well.
        title: heading of the page.
        details: (what, value) pairs below it: configs, checkpoints.

    Raises:
        ValueError: another ending, a folder, or too many images for a picture.
    """
    path = Path(path)
    check_out(path, len(comparison.samples))
    if path.suffix == '.png':
        draw_panels(comparison, path)
        return
    page = render(
        'panels_page.html.j2', title=title, details=details, context=panels_context(comparison)
    )
    write_atomically(path, page)


def scores_table(comparison: Comparison) -> str:
    """mIoU of every network as a text table."""
    rows = [(comparison.images_text, 'mIoU')]
    rows += [(s.name, f'{s.miou:.2f}') for s in comparison.scores]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name.ljust(width)}  {value:>6}' for name, value in rows)
