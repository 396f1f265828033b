"""The panels as one picture."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..figures import GREY, save_figure
from .legends import Entry, class_legend, error_legend
from .paint import Cell, column_titles, row_cells
from .results import Comparison

# Inches.
_CELL, _GAP, _MARGIN = 1.8, 0.08, 0.15
_TALLEST = 1.2 * _CELL  # portraits are drawn narrower than a cell
_LINE, _TITLE = 0.2, 0.42
# Points.
_SMALL, _MIDDLE, _LARGE = 8, 9, 11


def draw_panels(comparison: Comparison, path: Path) -> None:
    """Write the panels: a row for each image, a title over each section, legends below.

    Pictures keep their proportions; label maps and errors are drawn in their exact colours.

    Args:
        comparison: what to draw.
        path: its ending names the format, see :func:`..figures.save_figure`.
    """
    headings = column_titles(comparison)
    sheet = _Sheet(len(headings))
    sheet.text_row([title for title, _ in headings], _MIDDLE, weight='bold')
    sheet.text_row([below for _, below in headings], _SMALL)
    for section in comparison.sections:
        sheet.title(section.title)
        for sample in section.samples:
            sheet.row(row_cells(comparison, sample))
    sheet.title(f'Colours; mIoU of {comparison.images_text} over the columns')
    classes, more = class_legend(comparison)
    sheet.legend(classes, f'and {more} more classes' if more else '')
    sheet.legend(error_legend(comparison))
    save_figure(sheet.figure(), path)


class _Sheet:
    """Draws from the top down, in inches; how tall the figure is comes out in the end."""

    def __init__(self, columns: int) -> None:
        self.width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
        self.y = _MARGIN
        self._draws: list[Callable[[Figure, float], None]] = []

    def figure(self) -> Figure:
        height = self.y + _MARGIN
        figure = plt.figure(figsize=(self.width, height))
        for draw in self._draws:
            draw(figure, height)
        return figure

    def text_row(self, texts: Sequence[str], size: int, weight: str = 'normal') -> None:
        for k, text in enumerate(texts):
            self._text(self._left(k) + _CELL / 2, text, size, ha='center', weight=weight)
        self.y += _LINE

    def title(self, text: str) -> None:
        self.y += _TITLE - _LINE - 0.06
        self._text(_MARGIN, text, _LARGE)
        self.y += _LINE + 0.06

    def row(self, cells: Sequence[Cell]) -> None:
        height, width = cells[0].picture.shape[:2]
        tall = min(_CELL * height / width, _TALLEST)
        wide = tall * width / height
        for k, cell in enumerate(cells):
            self._picture(self._left(k) + (_CELL - wide) / 2, wide, tall, cell)
        self.y += tall + 0.03
        self.text_row([cell.caption for cell in cells], _SMALL)
        self.y += 0.05

    def legend(self, entries: Sequence[Entry], more: str = '') -> None:
        """As many to a line as the longest name allows."""
        if not entries:
            return
        names = [_short(entry.name, 34) for entry in entries]
        columns = _fitting_columns([len(name) for name in names], self.width - 2 * _MARGIN)
        lines = -(-len(entries) // columns)
        # matplotlib fills columns: the entries are put so that they read along the lines.
        order = [i for c in range(columns) for i in range(c, len(entries), columns)]
        handles = [
            Patch(facecolor=entries[i].colour, edgecolor=GREY, linewidth=0.5, label=names[i])
            for i in order
        ]
        top = self.y

        def draw(figure: Figure, height: float) -> None:
            legend = figure.legend(
                handles=handles,
                loc='upper left',
                bbox_to_anchor=(_MARGIN / self.width, 1 - top / height),
                ncols=columns,
                fontsize=_SMALL,
                frameon=False,
                borderpad=0,
                labelspacing=0.71,  # which makes a line of it _LINE high
                borderaxespad=0,
            )
            for text in legend.get_texts():
                text.set_parse_math(False)

        self._draws.append(draw)
        self.y += lines * _LINE
        if more:
            self._text(_MARGIN, more, _SMALL)
            self.y += _LINE

    def _left(self, column: int) -> float:
        return _MARGIN + column * (_CELL + _GAP)

    def _text(self, x: float, text: str, size: int, ha: str = 'left', weight='normal') -> None:
        top = self.y
        if ha == 'center':
            text = _short(text, 26 if size == _SMALL else 22)  # what fits a cell
        self._draws.append(
            lambda figure, height: figure.text(
                x / self.width,
                1 - top / height,
                text,
                fontsize=size,
                weight=weight,
                ha=ha,
                va='top',
                parse_math=False,  # a class or a file may be called $x$
            )
        )

    def _picture(self, left: float, wide: float, tall: float, cell: Cell) -> None:
        top = self.y

        def draw(figure: Figure, height: float) -> None:
            box = (left / self.width, 1 - (top + tall) / height, wide / self.width, tall / height)
            axis = figure.add_axes(box)
            # A photograph that is made smaller is smoothed; colours that mean something never.
            axis.imshow(
                cell.picture,
                interpolation='auto' if cell.is_photo else 'nearest',
                aspect='auto',
            )
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set(color=GREY, linewidth=0.5)

        self._draws.append(draw)


def _fitting_columns(lengths: Sequence[int], width: float) -> int:
    """The most columns of a legend whose names, of so many letters, fit a width in inches."""
    for columns in range(len(lengths), 1, -1):
        widest = [max(lengths[c::columns]) for c in range(columns)]
        if sum(0.58 + 0.066 * length for length in widest) <= width:  # the handle, a letter
            return columns
    return 1


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f'{text[: most - 1]}…'
