"""The picture of the attention on an image."""

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from ..figures import SKY, VERMILION, Figure, plt
from .image import ImageAttention
from .layout import Box
from .maps import AttentionMap

_COLOUR_MAP = 'inferno'
_OPACITY = (0.25, 0.85)  # over the grey image, of no weight and of the maximum
_GREY = (0.05, 0.75)  # what black and white of the image become: heat has to stand out
_DIM = 0.35  # times that, where a view does not look
_COLUMN = 1.9  # inches
_FILL = 0.7  # of a picture's side, at least, that a patch group takes: a small one is enlarged


def attention_figure(states: dict[str, ImageAttention]) -> Figure:
    """A row for each point: the image with the point, then every view in every state.

    Heat maps show their true cells, each in its own colours from 0 to its maximum, which is
    written below with the effective number of positions, exp(entropy). Where a view does not look
    the image is dim. A small patch group is enlarged; its place is outlined in the first column.
    ``states``: attention on one image at the same points, by what is written above it.
    """
    attentions = list(states.values())
    first = attentions[0]
    height, width = first.image.shape[:2]
    rows, columns = len(first.points), 1 + len(first.maps[0]) * len(states)
    in_legend = 5 if columns > 4 else 2  # entries in a line
    tall = rows * (_COLUMN * height / width + 0.2) + 0.6 + 0.5 / in_legend
    look = dict(figsize=(_COLUMN * columns, tall), layout='compressed')
    figure, axes = plt.subplots(rows, columns, squeeze=False, **look)
    for number, row in enumerate(axes, 1):
        _draw_point(row[0], first, number)
        rest = iter(row[1:])
        for view in range(len(first.maps[0])):
            for label, attention in states.items():
                axis = next(rest)
                heat = attention.maps[number - 1][view]
                _draw_heat(axis, attention, heat)
                if number == 1:
                    axis.set_title(f'{_title(heat, first)}\n{label}'.strip(), fontsize=9)
    axes[0, 0].set_title('image and point', fontsize=9)
    handles = [
        Patch(facecolor='none', edgecolor=SKY, linewidth=1.5, label='rebuilt position'),
        Patch(facecolor=_painted(0.5), edgecolor='grey', label='half of max'),
        Patch(facecolor=_painted(1.0), edgecolor='grey', label='max'),
    ]
    if any(heat.kind == 'patch' for heat in first.maps[0]):
        white = Patch(facecolor='dimgrey', edgecolor='white', label='white frames: its patch group')
        handles.insert(1, white)
    handles.append(Patch(alpha=0, label='below: largest weight, effective number of positions'))
    look = dict(loc='outside lower center', ncols=in_legend, fontsize=8, frameon=False)
    figure.legend(handles=handles, **look)
    return figure


def figure_pixels(figure: Figure, dpi: int = 100) -> np.ndarray:
    """A figure as (H, W, 3), RGB, uint8; it is closed."""
    figure.set_dpi(dpi)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return pixels


def _painted(share: float) -> tuple[float, ...]:
    """The colour of a share of the maximum, over the middle of the grey image."""
    opacity = _OPACITY[0] + (_OPACITY[1] - _OPACITY[0]) * share
    colour = np.array(plt.get_cmap(_COLOUR_MAP)(share)[:3])
    return tuple(opacity * colour + (1 - opacity) * sum(_GREY) / 2)


def _title(heat: AttentionMap, first: ImageAttention) -> str:
    same = [other for other in first.maps[0] if other.title == heat.title]
    return heat.title if len(same) == 1 else f'{heat.title}, {heat.name}'


def _draw_point(axis: Axes, attention: ImageAttention, number: int) -> None:
    height, width = attention.image.shape[:2]
    axis.imshow(attention.image, extent=(0, width, height, 0))
    for heat in attention.maps[number - 1]:
        if heat.kind == 'patch':
            for box in heat.places:
                axis.add_patch(_outline(_edges(box, attention), 'white', 0.8))
    x, y = attention.points[number - 1]
    axis.plot(x, y, 'o', markersize=7, color=VERMILION, markeredgecolor='white',
              clip_on=False, zorder=5)  # fmt: skip
    offset, side = (-7, 'right') if x > width * 0.75 else (7, 'left')
    look = dict(fontsize=10, weight='bold', color='white', ha=side, va='center')
    look['path_effects'] = [patheffects.withStroke(linewidth=2, foreground='black')]
    axis.annotate(str(number), (x, y), (offset, 0), textcoords='offset points', **look)
    _frame(axis, _all_of(attention))


def _draw_heat(axis: Axes, attention: ImageAttention, heat: AttentionMap) -> None:
    height, width = attention.image.shape[:2]
    edges = [_edges(box, attention) for box in heat.places]
    axis.imshow(_background(attention.image, edges), extent=(0, width, height, 0))
    weights = heat.weights.numpy()
    is_finite = np.isfinite(weights).all()  # not of a network that has diverged
    for top, left, bottom, right in edges if is_finite else ():
        share = weights / weights.max()
        alpha = _OPACITY[0] + (_OPACITY[1] - _OPACITY[0]) * share
        look = dict(extent=(left, right, bottom, top), interpolation='nearest')
        axis.imshow(share, cmap=_COLOUR_MAP, vmin=0, vmax=1, alpha=alpha, **look)
        if heat.kind == 'patch':
            axis.add_patch(_outline((top, left, bottom, right), 'white', 0.8))
    window = _window(edges, attention) if heat.kind == 'patch' else _all_of(attention)
    target = np.array(_edges(heat.target, attention))
    if target[3] - target[1] < 0.04 * (window[3] - window[1]):  # its outline would cover it
        target += 0.01 * (window[3] - window[1]) * np.array([-1, -1, 1, 1])
    axis.add_patch(_outline(target, 'black', 2.6))
    axis.add_patch(_outline(target, SKY, 1.4))
    text = 'not finite'
    if is_finite:
        peak, effective = weights.max(), heat.effective_positions
        text = 'enlarged; ' * (window != _all_of(attention))
        text += f'max {peak:.2f}' if peak >= 0.01 else f'max {peak:.1e}'
        text += f', {effective:.1f}' if effective < 100 else f', {effective:,.0f}'
        text += f' of {weights.size:,}' + '\n(point not covered: nearest)' * heat.moved
    axis.set_xlabel(text, fontsize=7.5, labelpad=2)
    _frame(axis, window)


def _background(image: np.ndarray, edges: list[tuple]) -> np.ndarray:
    """The image in grey, dim outside the boxes."""
    grey = image @ np.array([0.299, 0.587, 0.114]) / 255
    grey = _GREY[0] + (_GREY[1] - _GREY[0]) * grey
    light = np.full(grey.shape, _DIM)
    for top, left, bottom, right in edges:
        light[round(top) : round(bottom), round(left) : round(right)] = 1
    return np.repeat((grey * light)[..., None], 3, 2).clip(0, 1)


def _edges(box: Box, attention: ImageAttention) -> tuple[float, float, float, float]:
    """Top, left, bottom, right in pixels of the image."""
    height, width = attention.extent
    return box.top * height, box.left * width, box.bottom * height, box.right * width


def _outline(edges: tuple, colour: str, width: float) -> Rectangle:
    top, left, bottom, right = edges
    look = dict(fill=False, edgecolor=colour, linewidth=width)
    return Rectangle((left, top), right - left, bottom - top, **look)


def _all_of(attention: ImageAttention) -> tuple[float, float, float, float]:
    return 0.0, 0.0, *map(float, attention.image.shape[:2])


def _window(edges: list[tuple], attention: ImageAttention) -> tuple[float, float, float, float]:
    """What to show of the image: the boxes with some of their surroundings, in its proportions."""
    height, width = attention.image.shape[:2]
    box = *np.min(edges, axis=0)[:2], *np.max(edges, axis=0)[2:]
    share = max((box[2] - box[0]) / height, (box[3] - box[1]) / width) / _FILL
    if share >= 1:
        return _all_of(attention)
    window = []
    for low, high, length in ((box[0], box[2], height), (box[1], box[3], width)):
        side = share * length
        start = min(max((low + high - side) / 2, 0.0), length - side)
        window.append((start, start + side))
    (top, bottom), (left, right) = window
    return top, left, bottom, right


def _frame(axis: Axes, window: tuple[float, float, float, float]) -> None:
    """After all that is drawn: images change an axis' limits."""
    top, left, bottom, right = window
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect='equal')
