"""The panels as one picture."""

from pathlib import Path

import numpy as np
from matplotlib.patches import Patch

from ..figures import GREY, plt, save_figure
from .paint import Entry, class_legend, column_titles, error_legend, row_cells
from .results import Comparison

# Inches.
_CELL, _GAP, _MARGIN, _CAPTION, _HEAD, _LINE = 1.8, 0.08, 0.15, 0.26, 0.8, 0.2


def draw_panels(comparison: Comparison, path: Path) -> None:
    """Write the panels: a row for each image, titles over each section, legends below.

    Pictures keep their proportions; label maps and errors are drawn in their exact colours.
    """
    headings = column_titles(comparison)
    width = len(headings) * (_CELL + _GAP) - _GAP + 2 * _MARGIN
    sections = [[list(row_cells(comparison, s)) for s in of.samples] for of in comparison.sections]
    # Portraits are drawn narrower than a cell.
    shapes = [np.array([cells[0].picture.shape for cells in rows]) for rows in sections]
    heights = [_CELL * np.minimum(of[:, 0] / of[:, 1], 1.2) for of in shapes]
    sizes = [of.sum() + _CAPTION * len(of) + _HEAD for of in heights]
    classes, more = class_legend(comparison)
    classes += [Entry(f'and {more} more classes', 'none')] * bool(more)
    longest = max(len(_short(entry.name)) for entry in classes)
    in_line = max(1, int((width - 3) / (0.6 + 0.066 * longest)))
    sizes.append(_LINE * (max(5, -(-len(classes) // in_line)) + 2))
    figure = plt.figure(figsize=(width, sum(sizes)))
    *parts, below = figure.subfigures(len(sizes), squeeze=False, height_ratios=sizes).flat
    literal = dict(parse_math=False)  # a class or a file may be called $x$
    for section, rows, part, tall, size in zip(
        comparison.sections, sections, parts, heights, sizes
    ):
        look = dict(left=_MARGIN / width, right=1 - _MARGIN / width, wspace=_GAP / _CELL)
        look.update(top=1 - _HEAD / size, bottom=_CAPTION / size, hspace=_CAPTION / tall.mean())
        look.update(height_ratios=tall)
        axes = part.subplots(len(rows), len(headings), squeeze=False, gridspec_kw=look)
        part.text(look['left'], 1 - 0.22 / size, section.title, fontsize=11, **literal)
        for axis, heading in zip(axes[0], headings):
            text = '\n'.join(_short(line, 22) for line in heading)
            axis.set_title(text, fontsize=9, weight='bold', pad=2, **literal)
        for axis, cell in zip(axes.flat, (cell for cells in rows for cell in cells)):
            # A photograph that is made smaller is smoothed; colours that mean something never.
            smoothing = 'auto' if cell.column == 'image' else 'nearest'
            axis.imshow(cell.picture, interpolation=smoothing)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color=GREY, linewidth=0.5)
            axis.set_xlabel(_short(cell.caption, 26), fontsize=8, labelpad=2, **literal)
    scores = f'Classes; mIoU of {comparison.images_text} over the columns'
    for loc, title, entries, columns in (
        ('upper left', scores, classes, in_line),
        ('upper right', 'Error map', error_legend(comparison), 1),
    ):
        look = dict(edgecolor=GREY, linewidth=0.5)
        handles = [Patch(facecolor=e.colour, label=_short(e.name), **look) for e in entries]
        look = dict(fontsize=8, title_fontsize=9, alignment='left', frameon=False)
        legend = below.legend(handles=handles, loc=loc, title=title, ncols=columns, **look)
        for text in legend.get_texts():
            text.set_parse_math(False)
    save_figure(figure, path)


def _short(text: str, most: int = 34) -> str:
    return text if len(text) <= most else f'{text[: most - 1]}…'
