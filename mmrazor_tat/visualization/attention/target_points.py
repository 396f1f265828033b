"""Which positions of the teacher's map to look at."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def choose_points(
    feature: Tensor, count: int, within: Optional[tuple[int, int]] = None
) -> list[tuple[int, int]]:
    """Positions that are as unlike each other as the map has them.

    Farthest-point traversal over the features, each the mean of its 3 x 3 neighbourhood: first the
    position whose feature is farthest from the mean of all, then each time the one that is farthest
    from those chosen, until there are ``count``. So the points lie on different things, a rare one
    first, and no trained weight has a say: given the frozen teacher's own map (before any
    projection), the points are the same before and after a training and at all its steps, and
    attention there can be compared. The smoothing keeps a single noisy position from being taken
    for a thing; positions at the border are left out, as zero padding makes them unlike the rest
    whatever the image shows; and two points are at least a quarter of the shorter side apart (less
    where that leaves no position), or the second would be the neighbour of the first.

    Args:
        feature: the teacher's map of one image, (C, H, W).
        count: how many points.
        within: (rows, columns) at the top left that may be chosen from; None: the whole map.

    Returns:
        (row, column) of each point, in the order of choice; fewer than ``count`` only where the
        map has no more positions whose features are finite numbers.

    Raises:
        ValueError: ``count`` is no positive integer, or ``feature`` no map of one image.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f'count must be a positive integer, got {count!r}')
    if feature.dim() != 3:
        raise ValueError(f'feature must be one map (C, H, W), got shape {tuple(feature.shape)}')
    # float64 on the CPU: the same choice on every device.
    smooth = feature.detach().cpu().double()
    smooth = F.avg_pool2d(smooth[None], 3, 1, 1, count_include_pad=False)[0]  # (C, H, W)
    height, width = smooth.shape[1:]
    finite = smooth.isfinite().all(0)
    smooth = smooth.nan_to_num(0, 0, 0)
    allowed = _inner(height, width, within) & finite
    rows = torch.arange(height).view(-1, 1)
    columns = torch.arange(width).view(1, -1)
    apart = max(1, min(height, width) // 4)

    chosen: list[tuple[int, int]] = []
    unlike = _distance(smooth, smooth.mean((1, 2)))  # from the mean, then from those chosen
    while len(chosen) < count and allowed.any():
        free = allowed
        spacing = apart
        while chosen:
            # The nearest point is at least `spacing` rows or columns away.
            gaps = [torch.maximum((rows - r).abs(), (columns - c).abs()) for r, c in chosen]
            free = allowed & (torch.stack(gaps).amin(0) >= spacing)
            if free.any() or spacing == 1:
                break
            spacing //= 2
        if not free.any():
            break
        scores = unlike.masked_fill(~free, -1)
        row, column = (scores == scores.max()).nonzero()[0].tolist()  # of equals the first
        distance = _distance(smooth, smooth[:, row, column])
        unlike = torch.minimum(unlike, distance) if chosen else distance
        chosen.append((row, column))
    return chosen


def cell_at(y: float, x: float, size: tuple[int, int]) -> tuple[int, int]:
    """(row, column) of the cell of a map that holds a place.

    Args:
        y, x: fractions of the map's height and width, from 0 at the top left to 1.
        size: (rows, columns) of the map.
    """
    return tuple(min(max(int(f * n), 0), n - 1) for f, n in zip((y, x), size))


def _inner(height: int, width: int, within: Optional[tuple[int, int]]) -> Tensor:
    """Which cells may be chosen, (H, W) of bool: not those at the border, if there are others."""
    allowed = torch.zeros(height, width, dtype=torch.bool)
    rows, columns = within or (height, width)
    allowed[:rows, :columns] = True
    inner = allowed.clone()
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    return inner if inner.any() else allowed


def _distance(feature: Tensor, vector: Tensor) -> Tensor:
    """From each position of (C, H, W) to a vector (C,): (H, W)."""
    return (feature - vector.view(-1, 1, 1)).norm(dim=0)
