"""The panels as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ..figures import GREY, plt, save_figure
from .paint import Entry, class_legend, column_titles, error_legend, row_cells
from .results import Comparison

# Inches.
_CELL, _GAP, _MARGIN, _LINE = 1.8, 0.08, 0.15, 0.2
_TALLEST = 1.2 * _CELL  # portraits are drawn narrower than a cell
_SMALL, _MIDDLE, _LARGE = 8, 9, 11  # points


def draw_panels(comparison: Comparison, path: Path) -> None:
    """Write the panels: a row for each image, a title over each section, legends below.

    Pictures keep their proportions; label maps and errors are drawn in their exact colours.
    """
    headings = column_titles(comparison)
    width = len(headings) * (_CELL + _GAP) - _GAP
    classes, more = class_legend(comparison)
    if more:
        classes = [*classes, Entry(f'and {more} more classes', 'none')]
    legends = [classes, error_legend(comparison)]
    columns = [_fitting_columns([len(_short(e.name, 34)) for e in of], width) for of in legends]

    rows: list[tuple[float, list]] = [(2 * _LINE, ['\n'.join(h).rstrip() for h in headings])]
    for section in comparison.sections:
        rows.append((0.42, section.title))
        for sample in section.samples:
            cells = list(row_cells(comparison, sample))
            height, wide = cells[0].picture.shape[:2]
            rows.append((min(_CELL * height / wide, _TALLEST), cells))
            rows.append((_LINE + 0.08, [cell.caption for cell in cells]))
    rows.append((0.42, f'Colours; mIoU of {comparison.images_text} over the columns'))
    rows += [(_LINE * -(-len(of) // n), (of, n)) for of, n in zip(legends, columns)]

    heights = [height for height, _ in rows]
    size = width + 2 * _MARGIN, sum(heights) + 2 * _MARGIN
    figure = plt.figure(figsize=size)
    edges = dict(left=_MARGIN / size[0], right=1 - _MARGIN / size[0])
    edges.update(bottom=_MARGIN / size[1], top=1 - _MARGIN / size[1])
    space = dict(hspace=0, wspace=_GAP / _CELL, height_ratios=heights)
    grid = figure.add_gridspec(len(rows), len(headings), **edges, **space)
    for number, (_, content) in enumerate(rows):
        if isinstance(content, list):
            for column, item in enumerate(content):
                _draw_cell(figure.add_subplot(grid[number, column]), item, number == 0)
            continue
        axis = figure.add_subplot(grid[number, :])
        axis.set_axis_off()
        if isinstance(content, str):
            _write(axis, 0, 0.45, content, fontsize=_LARGE, va='center')
        else:
            _draw_legend(axis, *content)
    save_figure(figure, path)


def _draw_cell(axis: Axes, item, is_heading: bool) -> None:
    """A picture, or a text that is cut to the width of one."""
    if isinstance(item, str):
        axis.set_axis_off()
        text = '\n'.join(_short(line, 22 if is_heading else 26) for line in item.split('\n'))
        size, weight = (_MIDDLE, 'bold') if is_heading else (_SMALL, 'normal')
        _write(axis, 0.5, 0.9, text, fontsize=size, weight=weight, ha='center', va='top')
        return
    # A photograph that is made smaller is smoothed; colours that mean something never.
    smoothing = 'auto' if item.column == 'image' else 'nearest'
    axis.imshow(item.picture, interpolation=smoothing)
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set(color=GREY, linewidth=0.5)


def _draw_legend(axis: Axes, entries: Sequence[Entry], columns: int) -> None:
    # matplotlib fills columns: the entries are put so that they read along the lines.
    order = [i for c in range(columns) for i in range(c, len(entries), columns)]
    handles = [
        Patch(
            facecolor=entries[i].colour,
            edgecolor=GREY,
            linewidth=0.5 * (entries[i].colour != 'none'),
            label=_short(entries[i].name, 34),
        )
        for i in order
    ]
    look = dict(fontsize=_SMALL, frameon=False, borderpad=0, borderaxespad=0)
    legend = axis.legend(handles=handles, loc='upper left', ncols=columns, **look)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _write(axis: Axes, x: float, y: float, text: str, **look) -> None:
    # A class or a file may be called $x$.
    axis.text(x, y, text, transform=axis.transAxes, parse_math=False, **look)


def _fitting_columns(lengths: Sequence[int], width: float) -> int:
    """The most columns of a legend whose names, of so many letters, fit a width in inches."""
    for columns in range(len(lengths), 1, -1):
        widest = [max(lengths[c::columns]) for c in range(columns)]
        if sum(0.58 + 0.066 * length for length in widest) <= width:  # the handle, a letter
            return columns
    return 1


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f'{text[: most - 1]}…'
