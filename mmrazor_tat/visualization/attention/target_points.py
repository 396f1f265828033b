"""Which positions of the teacher's map to look at."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def choose_points(
    feature: Tensor, count: int, within: Optional[tuple[int, int]] = None
) -> list[tuple[int, int]]:
    """``count`` positions (row, column) of the teacher's map of one image, before any projection,
    (C, H, W), as unlike each other as it has them; of the top left (rows, columns) ``within``.

    Farthest-point traversal over the features, each the mean of its 3 x 3 neighbourhood (a single
    noisy position is no thing): first the position that is farthest from the mean of all, then each
    time the one farthest from those chosen. So the points lie on different things, a rare one
    first, and are the same before and after a training: the frozen teacher alone has a say.
    Positions at the border are left out, as zero padding makes them unlike the rest; two points are
    at least a quarter of the shorter side apart, less where that leaves no position. There are
    fewer only where the map has no more positions whose features are finite numbers.
    """
    # float64 on the CPU: the same choice on every device.
    smooth = feature.detach().cpu().double()
    smooth = F.avg_pool2d(smooth[None], 3, 1, 1, count_include_pad=False)[0]  # (C, H, W)
    height, width = smooth.shape[1:]
    allowed = torch.zeros(height, width, dtype=torch.bool)
    allowed[tuple(map(slice, within or (height, width)))] = True
    inner = allowed.clone()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    allowed = (inner if inner.any() else allowed) & smooth.isfinite().all(0)
    smooth = smooth.nan_to_num(0, 0, 0)
    rows, columns = torch.arange(height).view(-1, 1), torch.arange(width).view(1, -1)

    chosen: list[tuple[int, int]] = []
    unlike = _distance(smooth, smooth.mean((1, 2)))  # from the mean, then from those chosen
    gap = torch.full((height, width), height + width)  # rows or columns to the nearest of them
    while len(chosen) < count and (allowed & (gap >= 1)).any():
        spacing = max(1, min(height, width) // 4)
        while not (free := allowed & (gap >= spacing)).any():
            spacing //= 2
        scores = unlike.masked_fill(~free, -1)
        row, column = (scores == scores.max()).nonzero()[0].tolist()  # of equals the first
        distance = _distance(smooth, smooth[:, row, column])
        unlike = torch.minimum(unlike, distance) if chosen else distance
        gap = torch.minimum(gap, torch.maximum((rows - row).abs(), (columns - column).abs()))
        chosen.append((row, column))
    return chosen


def cell_at(y: float, x: float, size: tuple[int, int]) -> tuple[int, int]:
    """(row, column) of the cell of a map, ``size`` (rows, columns), that holds a place, in
    fractions of its height and width."""
    return tuple(min(max(int(f * n), 0), n - 1) for f, n in zip((y, x), size))


def _distance(feature: Tensor, vector: Tensor) -> Tensor:
    """From each position of (C, H, W) to a vector (C,): (H, W)."""
    return (feature - vector.view(-1, 1, 1)).norm(dim=0)
