"""The attention of TaT as heat maps: from which positions of the student is a target rebuilt?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
        weights: (h, w) on the CPU, sum 1: of all positions of the student's map, its anchor points,
            or the positions of a patch.
        places: where ``weights`` lie on the student's map. One place; of a patch group one for
            each of its patches, which share the weights, as they are joined along the channels.
        target: the position that is rebuilt (a pooled one in an anchor view), on the teacher's map.
        moved: the point lies in rows or columns that the view drops; ``target`` is the nearest.
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
        return torch.special.entr(self.weights.double()).sum().exp().item()


class View(NamedTuple):
    """A TaT loss over one view, and what it compares."""

    name: str
    loss: TaTLoss
    key: Tensor  # gamma(F^S), (B, D, H_s, W_s)
    query: Tensor  # theta(F^T), (B, D, H_t, W_t)

    def look(self, y: float, x: float, image: int) -> AttentionMap:
        """The attention at a place, in fractions of the map's height and width."""
        key, query = self.key[image : image + 1], self.query[image : image + 1]
        s_layout, t_layout = (Layout.of(self.loss, x) for x in (key, query))
        group, position, target, moved = t_layout.locate(*cell_at(y, x, query.shape[2:]))
        weights = functional.attention_weights(
            self.loss.tokens(key)[:, group : group + 1],  # (1, 1, N, D)
            self.loss.tokens(query)[:, group : group + 1],
            softmax_over=self.loss.softmax_over,
            scale=self.loss.scale,
            rows=torch.tensor([position]),
        )  # (1, 1, 1, N)
        weights = weights.cpu().view(s_layout.shape)
        places = s_layout.places(group)
        return AttentionMap(self.name, s_layout.kind, weights, places, target, moved)


def attention_maps(
    distiller: nn.Module, points: Sequence[tuple[int, int]], image: int = 0
) -> list[list[AttentionMap]]:
    """The attention of every TaT view at some points, from the records of the last forward.

    The distiller, a ``SharedConnectorDistiller``, holds the maps of both models
    (:meth:`FrozenTeacherDistill.record`); nothing of it changes. The points are (row, column) in
    :func:`teacher_map`; a loss that reads a map of another size takes the position at the same
    place. ``image``: index in the batch. Gives for each point the views, in the order of the
    losses.
    """
    with torch.no_grad(), evaluating(distiller):
        views = _views(distiller)
        height, width = views[0].query.shape[2:]
        return [
            [view.look((row + 0.5) / height, (column + 0.5) / width, image) for view in views]
            for row, column in points
        ]


def teacher_map(distiller: nn.Module) -> Tensor:
    """The map of the teacher that the first TaT loss rebuilds, before any projection: (B, C, H, W),
    which no training changes."""
    record = distiller.loss_forward_mappings[_tat_losses(distiller)[0]]['t_feature']
    keys = ('recorder', 'from_student', 'record_idx', 'data_idx')
    return distiller.raw_record(**{key: record[key] for key in keys if key in record})


def covered_size(distiller: nn.Module) -> tuple[int, int]:
    """(rows, columns) at the top left of :func:`teacher_map` that no view drops."""
    with torch.no_grad(), evaluating(distiller):
        views = _views(distiller)
    height, width = views[0].query.shape[2:]
    sizes = []
    for view in views:
        (rows, columns), (h, w) = Layout.of(view.loss, view.query).covered, view.query.shape[2:]
        sizes.append((rows * height // h, columns * width // w))
    return tuple(map(min, zip(*sizes)))


def require_tat_loss(model: nn.Module) -> None:
    """Raise ValueError for a model that has no attention to look at."""
    if not hasattr(model, 'distiller'):
        raise ValueError(
            f'a {type(model).__name__} has no distillation losses, so no attention to look at: '
            'take a distillation recipe with a TaT loss'
        )
    _tat_losses(model.distiller)


def _tat_losses(distiller: nn.Module) -> list[str]:
    losses = {name: distiller.distill_losses[name] for name in distiller.loss_forward_mappings}
    kinds = HierarchicalTaTLoss, TaTLoss
    if names := [name for name, loss in losses.items() if isinstance(loss, kinds)]:
        return names
    others = ', '.join(f'{name} ({type(loss).__name__})' for name, loss in losses.items())
    raise ValueError(f'no TaT loss, so no attention to look at; the losses are: {others}')


def _views(distiller: nn.Module) -> list[View]:
    views = []
    for name in _tat_losses(distiller):
        loss, records = distiller.distill_losses[name], distiller.loss_forward_mappings[name]
        short = name_for_log(name)
        maps = ('s_key', 't_query') if isinstance(loss, TaTLoss) else ('s_feature', 't_feature')
        key, query = (distiller.get_record(**records[argument]) for argument in maps)
        if isinstance(loss, TaTLoss):
            views.append(View(short, loss, key, query))
            continue
        key, query = loss.gamma(key), loss.theta(query)
        for part, view in loss.views.items():
            views.append(View(f'{short}_{part}'.strip('_'), view, key, query))
    for view in views:
        view.loss.check_maps(view.key, view.query)
    return views
