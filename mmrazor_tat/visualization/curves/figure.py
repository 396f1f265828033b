"""Drawing the axes: a colour for each run, a style for each loss."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ...utils.work_dir import diverged_at
from ..figures import GREY, LINES, ORANGE, STYLES, plt, save_figure
from .axes import AxisContent, axes_of, labels_of, set_scale
from .run import Run
from .series import default_window, odd, running_mean

_COLOURS = (*LINES, ORANGE)
_STYLES = (*STYLES, (0, (9, 2)), (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)), (0, (9, 2, 1, 2)))
_WIDTH, _HEIGHT, _LEGEND_LINE = 4.8, 3.1, 0.22  # inches
# What the title of a content says already where it is the only name in it.
_SELF_EVIDENT = ('task', 'total', 'lr', 'student')
_INK, _GRID = '#555555', '#E5E5E5'


def plot_runs(
    runs: Sequence[Run], path: Path, metric: Optional[str] = None, smooth: Optional[int] = None
) -> None:
    """Write the picture of :func:`draw_runs`.

    Args:
        path: its ending names the format: .png, .svg, .pdf. An existing file is replaced.

    Raises:
        ValueError: as there; another ending.
    """
    check_picture(path)
    save_figure(draw_runs(runs, metric, smooth), Path(path))


def check_picture(path: Path, argument: str = 'path') -> None:
    """Raise ValueError where matplotlib cannot write such a file."""
    endings = sorted(plt.Figure().canvas.get_supported_filetypes())
    if Path(path).suffix[1:].lower() not in endings:
        known = ', '.join(f'.{ending}' for ending in endings)
        raise ValueError(f'{argument} {str(path)!r} must end in the name of a format: {known}')


def draw_runs(
    runs: Sequence[Run], metric: Optional[str] = None, smooth: Optional[int] = None
) -> Figure:
    """Losses, shares, learning rate and a metric of some runs, in axes, against iterations.

    Axes without data are left out, see :func:`axes_of`.

    Args:
        runs: at least one, from :func:`read_run`.
        metric: of the validations; None: mIoU or accuracy/top1, where there is one.
        smooth: losses and shares are drawn as running means over so many logged points (of an even
            number: one more), with what was logged faintly behind; 1: as they are; None: by the
            length of the longest run.

    Returns:
        The figure; the caller saves and closes it.

    Raises:
        ValueError: no run; a metric that no run has; two runs of one name; nothing to draw;
            ``smooth`` below 1.
    """
    if not runs:
        raise ValueError('there is no run to draw')
    if smooth is not None and smooth < 1:
        raise ValueError(f'smooth must be a number of points, at least 1, got {smooth}')
    labels = labels_of(runs)
    contents = axes_of(runs, metric)
    if not contents:
        raise ValueError(f'the logs of {", ".join(labels)} hold nothing to draw')
    window = odd(smooth or default_window(max(len(run.training) for run in runs)))
    colours = _colours(len(runs))
    legend = [_legend_label(*pair) for pair in zip(labels, runs)]

    columns = len(contents) if len(contents) < 3 else 2 if len(contents) == 4 else 3
    rows = math.ceil(len(contents) / columns)
    width = _WIDTH * max(columns, 2 if len(contents) > 1 else 1.4)
    per_line = max(1, int(width * 11 / (max(map(len, legend)) + 7)))
    height = _HEIGHT * rows + _LEGEND_LINE * (math.ceil(len(runs) / per_line) + 1.5)
    figure = plt.figure(figsize=(width, height), layout='constrained')
    figure.get_layout_engine().set(h_pad=0.08)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    styles = _styles(contents)
    for axis, content in zip(axes, contents):
        _draw(axis, content, colours, styles, window)
        axis.set_xlim(0, 1.02 * max(run.iterations for run in runs))
    for axis in axes[len(contents) :]:
        axis.remove()

    handles = [
        Line2D([], [], color=colour, linewidth=3, label=label)
        for colour, label in zip(colours, legend)
    ]
    figure.legend(handles=handles, loc='outside upper left', ncols=per_line, frameon=False)
    if window > 1 and any(content.smooth for content in contents):
        figure.supxlabel(
            f'losses and shares: running mean over {window} logged points, faint: as logged',
            fontsize=9,
            color=_INK,
        )
    return figure


def _draw(
    axis: Axes, content: AxisContent, colours: list[str], styles: dict[str, tuple], window: int
):
    for line in content.lines:
        colour = GREY if line.run is None else colours[line.run]
        iterations, values = line.series
        look = dict(color=colour, linestyle=styles[line.name], linewidth=1.5)
        if content.smooth and window > 1:
            axis.plot(iterations, values, color=colour, linewidth=0.7, alpha=0.25, zorder=1)
            values = running_mean(values, window)
        if content.kind == 'setting' and line.run is not None:
            # Lines that lie upon each other are seen beside each other.
            look.update(linewidth=1.5 + min(1.5 * (len(colours) - 1 - line.run), 6))
        # Otherwise a single point, or a few far apart, would not be seen.
        if len(values) < 25 and line.run is not None and content.kind != 'setting':
            look.update(marker='o', markersize=3.5)
        axis.plot(iterations, values, **look)
    set_scale(axis, content)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10], integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
    axis.set_xlabel('iteration', fontsize=9)
    axis.tick_params(labelsize=9)
    axis.grid(color=_GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[['top', 'right']].set_visible(False)
    _head(axis, content, styles)


def _head(axis: Axes, content: AxisContent, styles: dict[str, tuple]) -> None:
    """The title above the content and, where lines differ, which style is what."""
    several = len(content.names) > 1
    is_named = several or content.names[0] in _SELF_EVIDENT
    title = content.title if is_named else f'{content.title}: {content.names[0]}'
    handles = [
        Line2D([], [], color=_INK, linestyle=styles[name], linewidth=1.5, label=name)
        for name in content.names
    ]
    if not several:
        axis.set_title(title, loc='left', fontsize=10)
        return
    axis.legend(
        handles=handles,
        title=title,
        alignment='left',
        title_fontsize=10,
        fontsize=9,
        loc='lower left',
        bbox_to_anchor=(0.0, 1.0),
        borderpad=0.0,
        borderaxespad=0.2,
        handlelength=3.2,
        ncols=3,
        frameon=False,
    )


def _styles(contents: Sequence[AxisContent]) -> dict[str, tuple]:
    """By the name of a line; a loss has one style in all axes."""
    styles = {'task': _STYLES[0], 'total': _STYLES[1], 'lr': _STYLES[0]}
    styles.update(student=_STYLES[0], teacher=(0, (5, 2)))
    for kinds in ([c for c in contents if 'parts' not in c.title], contents):
        names = [n for p in kinds for n in p.names]
        fresh = [name for name in dict.fromkeys(names) if name not in styles]
        styles.update({name: _STYLES[n % len(_STYLES)] for n, name in enumerate(fresh)})
    return styles


def _colours(count: int) -> list[str]:
    """All different; colour-blind readers too can tell up to seven apart."""
    if count <= len(_COLOURS):
        return list(_COLOURS[:count])
    for name in ('tab10', 'tab20'):
        # Grey is for what belongs to no run.
        colours = [to_hex(rgb) for rgb in colormaps[name].colors if len(set(rgb)) > 1]
        if count <= len(colours):
            return colours[:count]
    return [to_hex(colormaps['turbo']((n + 0.5) / count)) for n in range(count)]


def _legend_label(label: str, run: Run) -> str:
    losses = {line['iter']: line['loss'] for line in run.training if 'loss' in line}
    since = diverged_at(losses)
    return label if since is None else f'{label} (loss not finite from iteration {since:,})'
