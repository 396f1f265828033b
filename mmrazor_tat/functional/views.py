"""The three views of a map (B, C, H, W), as tokens (B, G, N, D)."""

import torch.nn.functional as F
from torch import Tensor

from .settings import at_least_float32


def whole_map(x: Tensor) -> Tensor:
    """All positions of a map as tokens: (B, C, H, W) -> (B, 1, H*W, C), row-major."""
    _check_map(x)
    return x.flatten(2).transpose(1, 2).unsqueeze(1)  # (B, 1, H*W, C)


def patch_groups(x: Tensor, grid: tuple[int, int], groups: int) -> Tensor:
    """Cut a map into patches and join the patches of a group along the channels.

    The patches are numbered row-major; ``p = n*m / groups`` consecutive ones form a group, and the
    channels of a group are those of its first patch, then those of its second, and so on. Rows and
    columns that the grid does not fill are dropped at the bottom and at the right.

    Args:
        x: (B, C, H, W).
        grid: (n, m), number of patches along the height and the width.
        groups: g, a divisor of n*m.

    Returns:
        (B, g, h*w, p*C) with h = H // n and w = W // m; positions row-major within a patch.

    Raises:
        ValueError: a grid larger than the map, or groups that do not divide the patches.
    """
    check_groups(grid, groups)
    h, w = patch_size(x, grid)
    n, m = grid
    p = n * m // groups
    batch, channels = x.shape[:2]
    x = x[:, :, : n * h, : m * w].reshape(batch, channels, n, h, m, w)
    x = x.permute(0, 2, 4, 3, 5, 1)  # (B, n, m, h, w, C)
    x = x.reshape(batch, groups, p, h * w, channels)
    return x.transpose(2, 3).reshape(batch, groups, h * w, p * channels)


def anchor_points(x: Tensor, kernel: int) -> Tensor:
    """Average-pool a map with a ``kernel`` x ``kernel`` window and stride, then take all positions.

    Args:
        x: (B, C, H, W). Rows and columns that do not fill a window are dropped.
        kernel: k, in feature pixels.

    Returns:
        (B, 1, (H//k)*(W//k), C), in float32 or float64.

    Raises:
        ValueError: a kernel larger than the map.
    """
    check_kernel(kernel)
    anchor_size(x, kernel)
    return whole_map(F.avg_pool2d(at_least_float32(x)[0], kernel))


def patch_size(x: Tensor, grid: tuple[int, int]) -> tuple[int, int]:
    """(h, w), the pixels of a patch when a map (B, C, H, W) is cut by ``grid``.

    Raises:
        ValueError: a grid larger than the map.
    """
    _check_map(x)
    (n, m), (height, width) = grid, x.shape[-2:]
    if height < n or width < m:
        raise ValueError(
            f'grid {n} x {m} needs a map of at least {n} x {m}, got {height} x {width}: '
            f'a grid of at most {max(1, height // 2)} x {max(1, width // 2)} leaves the attention '
            'some positions in a patch'
        )
    return height // n, width // m


def anchor_size(x: Tensor, kernel: int) -> tuple[int, int]:
    """(H//k, W//k), the size of a map (B, C, H, W) pooled by ``kernel``.

    Raises:
        ValueError: a kernel larger than the map.
    """
    _check_map(x)
    height, width = x.shape[-2:]
    if kernel > min(height, width):
        raise ValueError(
            f'kernel {kernel} needs a map of at least {kernel} x {kernel}, got {height} x {width}: '
            f'a kernel of at most {max(1, min(height, width) // 2)} leaves the attention some '
            'positions'
        )
    return height // kernel, width // kernel


def check_groups(grid: tuple[int, int], groups: int) -> None:
    """Raise ValueError unless ``grid`` is two positive ints and ``groups`` divides n*m."""
    if not (
        isinstance(grid, (tuple, list)) and len(grid) == 2 and all(_is_positive(k) for k in grid)
    ):
        raise ValueError(f'grid must be two positive integers (rows, columns), got {grid!r}')
    patches = grid[0] * grid[1]
    if not _is_positive(groups) or patches % groups:
        divisors = [k for k in range(1, patches + 1) if patches % k == 0]
        raise ValueError(
            f'groups must divide the {patches} patches of grid {grid[0]} x {grid[1]}, '
            f'got {groups!r}: one of {divisors} fits'
        )


def check_kernel(kernel: int) -> None:
    """Raise ValueError unless ``kernel`` is a positive int."""
    if not _is_positive(kernel):
        raise ValueError(f'kernel must be a positive integer, got {kernel!r}')


def _check_map(x: Tensor) -> None:
    if x.dim() != 4:
        raise ValueError(f'a map must be (B, C, H, W), got shape {tuple(x.shape)}')


def _is_positive(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
