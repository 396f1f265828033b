"""Views of a pair of maps, as blocks of tokens that need nothing of each other."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from ..functional import (
    anchor_size,
    check_groups,
    check_kernel,
    patch_groups,
    patch_size,
    whole_map,
)
from .moments import Side
from .settings import AnchorPointView, PatchGroupView, View


class Block(NamedTuple):
    """Tokens of both maps, and where the student's gradient goes: (b, G, N, p*C)."""

    s: Tensor
    t: Tensor
    ds: Optional[Tensor]
    finish: Callable[[], None]  # adds ``ds`` to the gradient of the map


def size_of_view(view: View, x: Tensor) -> tuple[int, int]:
    """(H', W'), what a view keeps of a map; ValueError where it does not fit."""
    if isinstance(view, AnchorPointView):
        check_kernel(view.kernel)
        return anchor_size(x, view.kernel)
    check_groups(view.grid, view.groups)
    (n, m), (h, w) = view.grid, patch_size(x, view.grid)
    return n * h, m * w


def blocks(
    view: View, student: Side, teacher: Side, chunk: slice, ds: Optional[Tensor]
) -> Iterator[Block]:
    """The tokens of a view, in blocks that need nothing of each other.

    Args:
        chunk: the images.
        ds: the gradient of their student maps, which ``finish`` adds to; None: no gradient.
    """
    if isinstance(view, PatchGroupView):
        yield from _patch_group_blocks(view, student, teacher, chunk, ds)
    elif view.kernel == 1:  # the tokens are the map itself, and so is their gradient
        s, t = whole_map(student.centred(chunk)), whole_map(teacher.centred(chunk))
        yield Block(s, t, None if ds is None else whole_map(ds), _nothing)
    else:
        yield _anchor_point_block(view.kernel, student, teacher, chunk, ds)


def _nothing() -> None:
    pass


def _anchor_point_block(
    k: int, student: Side, teacher: Side, chunk: slice, ds: Optional[Tensor]
) -> Block:
    pooled = student.pooled(chunk, k)
    dpooled = None if ds is None else torch.zeros_like(pooled)

    def finish() -> None:
        h, w = pooled.shape[2:]
        windows = ds[:, :, : h * k, : w * k].unflatten(3, (w, k)).unflatten(2, (h, k))
        windows += (dpooled / k**2)[:, :, :, None, :, None]  # (b, C, h, k, w, k)

    return Block(
        whole_map(pooled),
        whole_map(teacher.pooled(chunk, k)),
        None if ds is None else whole_map(dpooled),
        finish,
    )


def _patch_group_blocks(
    view: PatchGroupView, student: Side, teacher: Side, chunk: slice, ds: Optional[Tensor]
) -> Iterator[Block]:
    """Blocks of whole rows of patches that hold whole groups."""
    n, m = view.grid
    p = n * m // view.groups
    (h, w), (t_height, _) = (patch_size(side.x, view.grid) for side in (student, teacher))
    least = p // math.gcd(p, m)  # rows of patches that hold whole groups
    for s_rows in student.row_blocks(chunk, multiple=least * h, within=n * h):
        first, last = s_rows.start // h, s_rows.stop // h
        grid, groups = (last - first, m), (last - first) * m // p
        t_rows = slice(first * t_height, last * t_height)
        tokens = patch_groups(student.centred(chunk, s_rows), grid, groups)  # (b, G, h*w, p*C)
        dtokens = None if ds is None else tokens.new_zeros(tokens.shape)

        def finish(s_rows=s_rows, grid=grid, dtokens=dtokens) -> None:
            patches = dtokens.unflatten(3, (p, -1)).transpose(2, 3)  # (b, G, p, h*w, C)
            patches = patches.reshape(len(ds), *grid, h, w, -1)
            target = ds[:, :, s_rows, : m * w].unflatten(3, (m, w)).unflatten(2, (grid[0], h))
            target += patches.permute(0, 5, 1, 3, 2, 4)  # (b, C, rows, h, m, w)

        t_tokens = patch_groups(teacher.centred(chunk, t_rows), grid, groups)
        yield Block(tokens, t_tokens, dtokens, finish)
