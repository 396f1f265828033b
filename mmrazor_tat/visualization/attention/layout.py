"""Where the tokens of a view lie in the map."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ... import functional
from ...models.losses import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss


class Box(NamedTuple):
    """A rectangle on a map, in fractions of its height and width."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True)
class Layout:
    """How a view cuts a map of some size: which token is which part of it."""

    kind: str
    size: tuple[int, int]  # (H, W) of the map
    cell: tuple[int, int]  # (rows, columns) of the map in a position of the view
    shape: tuple[int, int]  # (h, w), positions in a patch
    grid: tuple[int, int] = (1, 1)  # (n, m) patches
    per_group: int = 1  # p, consecutive patches in a group

    @classmethod
    def of(cls, loss: TaTLoss, x: Tensor) -> 'Layout':
        size = tuple(x.shape[2:])
        if isinstance(loss, PatchGroupTaTLoss):
            per_group = loss.grid[0] * loss.grid[1] // loss.groups
            shape = functional.patch_size(x, loss.grid)
            return cls('patch', size, (1, 1), shape, tuple(loss.grid), per_group)
        if isinstance(loss, AnchorPointTaTLoss):
            cell = (loss.kernel, loss.kernel)
            return cls('anchor', size, cell, functional.anchor_size(x, loss.kernel))
        return cls('whole', size, (1, 1), size)

    @property
    def covered(self) -> tuple[int, int]:
        """(rows, columns) of the map that are in some position."""
        return tuple(n * h * k for n, h, k in zip(self.grid, self.shape, self.cell))

    def locate(self, row: int, column: int) -> tuple[int, int, Box, bool]:
        """Group, position in it and box of the position that holds a pixel of the map, and whether
        that is only the nearest one."""
        last = [length - 1 for length in self.covered]
        inside = min(row, last[0]), min(column, last[1])
        (r, c), (kr, kc) = inside, self.cell
        r, c = r // kr, c // kc  # in positions of the view
        (patch_row, i), (patch_column, j) = divmod(r, self.shape[0]), divmod(c, self.shape[1])
        group = (patch_row * self.grid[1] + patch_column) // self.per_group
        box = self._box(r * kr, c * kc, kr, kc)
        return group, i * self.shape[1] + j, box, inside != (row, column)

    def places(self, group: int) -> tuple[Box, ...]:
        """Where the patches of a group lie."""
        rows, columns = (h * k for h, k in zip(self.shape, self.cell))
        patches = range(group * self.per_group, (group + 1) * self.per_group)
        corners = (divmod(patch, self.grid[1]) for patch in patches)
        return tuple(self._box(r * rows, c * columns, rows, columns) for r, c in corners)

    def _box(self, top: int, left: int, rows: int, columns: int) -> Box:
        height, width = self.size
        return Box(top / height, left / width, (top + rows) / height, (left + columns) / width)
