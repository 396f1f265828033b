"""How all pictures look, and how they are written."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from ..utils.files import replacing  # noqa: E402

# Okabe and Ito: told apart by colour-blind readers too.
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    '#E69F00',
    '#56B4E9',
    '#009E73',
    '#F0E442',
    '#0072B2',
    '#D55E00',
    '#CC79A7',
)
GREY = '#999999'
# For curves, in this order.
LINES = (BLUE, VERMILION, GREEN, PURPLE, SKY, '#000000')
STYLES = ('-', (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (4, 2)))


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure, with its folder, and close it; the file is never there in part.

    Args:
        figure: matplotlib's.
        path: its ending names the format: .png, .svg, .pdf.
        dpi: of a .png.
    """
    path = Path(path)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=dpi, format=path.suffix[1:])
        plt.close(figure)
