"""A map of a pair as centred tokens, its mean and covariance, and their gradient."""

import functools
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


class Team(NamedTuple):
    """Chunks of images with the same statistics."""

    chunks: list[slice]
    per_image: bool  # each image has its own; there is one chunk then


class Side:
    """The student's or the teacher's map, centred a few rows at a time, in the cache.

    Args:
        x: (B, C, H, W).
        team: the images that are looked at.
        dtype: the precision of the arithmetic.
        block: positions of a block of rows, about.

    Attributes:
        mean: over the positions of each image (b, C) or, b = 1, of all images together.
        positions: how many the mean is over.
    """

    def __init__(self, x: Tensor, team: Team, dtype: torch.dtype, block: int) -> None:
        self.x, self.team, self.block = x, team, block
        if team.per_image:
            self.mean = x[team.chunks[0]].mean((2, 3), dtype=dtype)
            self.positions = x[0, 0].numel()
        else:
            self.mean = x.mean((0, 2, 3), dtype=dtype).unsqueeze(0)
            self.positions = x[:, 0].numel()

    def centred(self, chunk: slice, rows: slice = slice(None)) -> Tensor:
        """x - mean of some rows of the map, contiguous: (b, C, rows, W)."""
        return torch.sub(self.x[chunk, :, rows], self.mean[:, :, None, None]).contiguous()

    def pooled(self, chunk: slice, kernel: int) -> Tensor:
        """Average-pooled and centred, (b, C, H//k, W//k)."""
        # F.avg_pool2d alone takes half as long again on a CPU: whole rows add faster.
        rows = self.x[chunk, :, : self.x.shape[2] // kernel * kernel].to(self.mean.dtype)
        rows = functools.reduce(torch.add, rows.unflatten(2, (-1, kernel)).unbind(3))
        return F.avg_pool2d(rows, (1, kernel)).div_(kernel).sub_(self.mean[:, :, None, None])

    def row_blocks(
        self, chunk: slice, multiple: int = 1, within: Optional[int] = None
    ) -> list[slice]:
        """Blocks of the map's rows, or of its first ``within``; each a ``multiple`` of rows."""
        height = self.x.shape[2] if within is None else within
        row = self.x[chunk, 0, 0].numel()
        step = multiple * max(1, self.block // (multiple * row))
        return [slice(k, min(k + step, height)) for k in range(0, height, step)]

    def covariance(self) -> Tensor:
        """Biased, (b, C, C). Of centred values: E[x^2] - E[x]^2 cancels where |mean| >> std."""
        batch, channels = len(self.mean), self.x.shape[1]
        cov = self.mean.new_zeros(batch, channels, channels)
        for chunk in self.team.chunks:
            for rows in self.row_blocks(chunk):
                _add_gram(cov, self.centred(chunk, rows))
        return _mirrored(cov).div_(self.positions)


def _add_gram(gram: Tensor, x: Tensor) -> None:
    """Add the sum of x x^T over the positions of a map (b, C, H, W) to ``gram``, (b or 1, C, C).

    By blocks of columns, the lower ones only: 5/8 of the work of the whole product.
    """
    x = x.flatten(2)  # (b, C, N)
    width = _gram_width(x.shape[1])
    for k in range(0, x.shape[1], width):
        columns, target = (x[:, k:], x[:, k : k + width].mT), gram[:, k:, k : k + width]
        if len(gram) == len(x):
            target.baddbmm_(*columns)
        else:
            target += torch.bmm(*columns).sum(0, keepdim=True)


def _mirrored(gram: Tensor) -> Tensor:
    """Fill in what ``_add_gram`` leaves out."""
    width = _gram_width(gram.shape[1])
    for k in range(0, gram.shape[1], width):
        gram[:, k : k + width, k + width :] = gram[:, k + width :, k : k + width].mT
    return gram


def _gram_width(channels: int) -> int:
    return max(64, -(-channels // 4))


def add_gradient_of_moments(ds: Tensor, student: Side, dmean: Tensor, dcov: Tensor) -> None:
    """What reaches s through the mean and the covariance that the norms measured.

    The tokens are x - mean: of the gradient found so far, its mean has to go as well.
    """
    team, positions = student.team, student.positions
    own, dims = (ds[team.chunks[0]], (2, 3)) if team.per_image else (ds, (0, 2, 3))
    shift = dmean / positions - own.mean(dims).view_as(dmean)
    dcov = (dcov + dcov.mT) / positions
    for chunk in team.chunks:
        for rows in student.row_blocks(chunk):
            x = student.centred(chunk, rows).flatten(2)  # (b, C, N)
            d = ds[chunk, :, rows].view(x.shape)
            d += shift.unsqueeze(2)
            d.baddbmm_(dcov.expand(len(x), -1, -1), x)
