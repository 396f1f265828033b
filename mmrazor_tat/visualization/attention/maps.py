"""The attention of TaT as heat maps: from which positions of the student is a target rebuilt?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ... import functional
from ...models.distillers.records import name_for_log
from ...models.forward import evaluating
from ...models.losses import HierarchicalTaTLoss, TaTLoss
from .layout import Box, Layout
from .target_points import cell_at


@dataclass(frozen=True)
class AttentionMap:
    """Where one view of TaT looks to rebuild one target position of one image.

    Attributes:
        name: of the view as the log has it, e.g. 'tat_patch'.
        kind: 'whole', 'anchor' or 'patch'.
        weights: (h, w) on the CPU, sum 1; what ``h`` and ``w`` are depends on the kind: all
            positions of the student's map, its anchor points, or the positions of a patch.
        places: where ``weights`` lie on the student's map. One place; of a patch group one for
            each of its patches, which share the weights, as they are joined along the channels.
        target: the position that is rebuilt (a pooled one in an anchor view), on the teacher's map.
        moved: the point lies in rows or columns at the bottom or right that the view drops, as
            its grid or kernel does not fill them; ``target`` is then the nearest position of it.
    """

    name: str
    kind: str
    weights: Tensor
    places: tuple[Box, ...]
    target: Box
    moved: bool

    @property
    def title(self) -> str:
        """The kind of view and its size."""
        size = '{} x {}'.format(*self.weights.shape)
        if self.kind == 'patch':
            return f'group: {len(self.places)} patches of {size}'
        return {'anchor': 'anchor points', 'whole': 'whole map'}[self.kind] + f' {size}'

    @property
    def effective_positions(self) -> float:
        """exp(entropy): N for equal weights over N positions, 1 for all weight on one."""
        weights = self.weights.double()
        return torch.special.entr(weights).sum().exp().item()


def attention_maps(
    distiller: nn.Module, points: Sequence[tuple[int, int]], image: int = 0
) -> list[list[AttentionMap]]:
    """The attention of every TaT view at some points, from the records of the last forward.

    Args:
        distiller: a ``SharedConnectorDistiller`` whose recorders hold the maps of both models
            (:meth:`FrozenTeacherDistill.record`). It changes nothing: no gradient, no statistics.
        points: (row, column) in :func:`teacher_map`. A loss that reads a map of another size takes
            the position at the same place.
        image: index in the batch.

    Returns:
        For each point the views, in the order of the losses.

    Raises:
        ValueError: there is no TaT loss, or a point lies outside the teacher's map.
    """
    with torch.no_grad(), evaluating(distiller):
        views = _views(distiller)
        size = tuple(views[0].query.shape[2:])
        for row, column in points:
            if not (0 <= row < size[0] and 0 <= column < size[1]):
                raise ValueError(
                    f'point {(row, column)} is no (row, column) of the {size[0]} x {size[1]} map '
                    'of the teacher'
                )
        places = [((row + 0.5) / size[0], (column + 0.5) / size[1]) for row, column in points]
        maps = [_maps_of_view(view, places, image) for view in views]
    return [list(of_point) for of_point in zip(*maps)]


def teacher_map(distiller: nn.Module) -> Tensor:
    """The map of the teacher that the first TaT loss rebuilds, before any projection.

    Returns:
        (B, C, H, W), which no training changes.

    Raises:
        ValueError: there is no TaT loss.
    """
    name = _tat_losses(distiller)[0]
    record = distiller.loss_forward_mappings[name]['t_feature']
    keys = ('recorder', 'from_student', 'record_idx', 'data_idx')
    return distiller.raw_record(**{key: record[key] for key in keys if key in record})


def covered_size(distiller: nn.Module) -> tuple[int, int]:
    """(rows, columns) at the top left of :func:`teacher_map` that no view drops."""
    with torch.no_grad(), evaluating(distiller):
        views = _views(distiller)
    size = views[0].query.shape[2:]
    sizes = []
    for view in views:
        rows, columns = Layout.of(view.loss, view.query).covered
        height, width = view.query.shape[2:]
        sizes.append((rows * size[0] // height, columns * size[1] // width))
    return min(rows for rows, _ in sizes), min(columns for _, columns in sizes)


def require_tat_loss(model: nn.Module) -> None:
    """Raise ValueError for a model that has no attention to look at."""
    if not hasattr(model, 'distiller'):
        raise ValueError(
            f'a {type(model).__name__} has no distillation losses, so no attention to look at: '
            'take a distillation recipe with a TaT loss'
        )
    _tat_losses(model.distiller)


class _View(NamedTuple):
    name: str
    loss: TaTLoss
    key: Tensor  # gamma(F^S), (B, D, H_s, W_s)
    query: Tensor  # theta(F^T), (B, D, H_t, W_t)


def _tat_losses(distiller: nn.Module) -> list[str]:
    losses = distiller.distill_losses
    names = [
        name
        for name in distiller.loss_forward_mappings
        if isinstance(losses[name], (HierarchicalTaTLoss, TaTLoss))
    ]
    if not names:
        others = ', '.join(f'{name} ({type(losses[name]).__name__})' for name in losses)
        raise ValueError(f'no TaT loss, so no attention to look at; the losses are: {others}')
    return names


def _views(distiller: nn.Module) -> list[_View]:
    views = []
    for name in _tat_losses(distiller):
        loss, records = distiller.distill_losses[name], distiller.loss_forward_mappings[name]
        short = name_for_log(name)

        def get(argument: str, records: dict = records) -> Any:
            return distiller.get_record(**records[argument])

        if isinstance(loss, TaTLoss):
            views.append(_View(short, loss, get('s_key'), get('t_query')))
            continue
        key, query = loss.gamma(get('s_feature')), loss.theta(get('t_feature'))
        views += [
            _View(f'{short}_{part}'.strip('_'), view, key, query)
            for part, view in loss.views.items()
        ]
    for view in views:
        view.loss.check_maps(view.key, view.query)
    return views


def _maps_of_view(view: _View, places: list[tuple[float, float]], image: int) -> list[AttentionMap]:
    loss = view.loss
    key, query = view.key[image : image + 1], view.query[image : image + 1]
    s_layout, t_layout = (Layout.of(loss, x) for x in (key, query))
    s_tokens, t_tokens = loss.tokens(key), loss.tokens(query)  # (1, G, N, D)
    maps = []
    for y, x in places:
        row, column = cell_at(y, x, query.shape[2:])
        group, position, target, moved = t_layout.locate(row, column)
        weights = functional.attention_weights(
            s_tokens[:, group : group + 1],
            t_tokens[:, group : group + 1],
            softmax_over=loss.softmax_over,
            scale=loss.scale,
            rows=torch.tensor([position]),
        )  # (1, 1, 1, N)
        weights = weights.cpu().view(s_layout.shape)
        boxes = s_layout.places(group)
        maps.append(AttentionMap(view.name, s_layout.kind, weights, boxes, target, moved))
    return maps
