r"""The maths of TaT as pure functions of tensors.

Source: "Knowledge Distillation via the Target-aware Transformer", Lin et al., CVPR 2022.

Two kinds of shape occur: a *map* is (B, C, H, W), *tokens* are (B, G, N, D): a batch of B images,
G independent groups, N positions, D channels.
"""

import contextlib
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor

# Up to here a stored softmax is faster than scaled_dot_product_attention (measured on a CPU); its
# matrix is at most 256 x 256 for one group.
_SHORT_SEQUENCE = 256
DIRECTIONS = ('student', 'teacher')


def target_aware_attention(
    s_key: Tensor,
    s_value: Tensor,
    t_query: Tensor,
    *,
    softmax_over: str = 'teacher',
    scale: Union[float, str] = 'auto',
) -> Tensor:
    r"""Rebuild the teacher's feature from the values of all positions of the student.

    With ``softmax_over='teacher'`` a row belongs to a student position i, and its softmax runs over
    the teacher's positions, so both maps need as many. It is the paper's parametric equation read
    row by row, and what both released code bases compute (run beside them with the same weights:
    equal in loss and gradients):

    .. math::
        f^{s'} = \sigma\big(c \, \gamma(f^s) \theta(f^t)^T\big) \, \phi(f^s), \quad
        f_i^{s'} = \sum_j \mathrm{softmax}_j
            \big(c \, \langle \gamma(f_i^s), \theta(f_j^t) \rangle \big) \, \phi(f_j^s)

    With ``softmax_over='student'`` a row belongs to a teacher position i, and its softmax runs over
    the student's: W^i of the paper's non-parametric equations.

    .. math::
        f_i^{s'} = \sum_j W_j^i \phi(f_j^s), \quad
        W^i = \mathrm{softmax}_j \big(c \, \langle \gamma(f_j^s), \theta(f_i^t) \rangle \big)

    They are two losses: their gradients are nearly orthogonal. In the second one the query is the
    target itself, so a student whose values are a codebook lowers the loss without knowing where
    anything is.

    Args:
        s_key: gamma(f^s), (B, G, N_s, D).
        s_value: phi(f^s), (B, G, N_s, E).
        t_query: theta(f^t), (B, G, N_t, D).
        softmax_over: 'teacher' or 'student'.
        scale: c, multiplies the logits; a number, or 'auto': 1 / sqrt(D). The
            paper and its code have none, i.e. 1, where the softmax is nearly one-hot: gamma and
            theta learn little then.

    Returns:
        (B, G, N_t, E), in float32 or, for float64 inputs, float64: at scale 1 half precision would
        cost about a tenth of the gradient. Autocast is switched off inside. An N_s x N_t matrix is
        stored only where N is short.

    Raises:
        ValueError: for shapes that do not fit, or an unknown ``softmax_over``.
    """
    _check_tokens(softmax_over, s_key, t_query, s_value)
    scale = scale_of(scale, s_key.shape[-1])
    with full_precision(s_key):
        s_key, s_value, t_query = at_least_float32(s_key, s_value, t_query)
        if softmax_over == 'student':
            return _attention(t_query, s_key, s_value, scale)
        return _attention(s_key, t_query, s_value, scale)


def attention_weights(
    s_key: Tensor,
    t_query: Tensor,
    *,
    softmax_over: str = 'teacher',
    scale: Union[float, str] = 'auto',
    rows: Optional[Tensor] = None,
) -> Tensor:
    r"""The W of :func:`target_aware_attention`, to look at.

    A row belongs to a rebuilt (target) position and sums to 1 over the student's positions whose
    values it adds up: ``attention_weights(s_key, t_query) @ s_value`` is what
    :func:`target_aware_attention` gives. With ``softmax_over='teacher'`` the weight of position j
    comes from the teacher's query there, and falls on the student's value there.

    Args:
        s_key, t_query, softmax_over, scale: see :func:`target_aware_attention`.
        rows: (R,) of int64, the target positions to look at, so that no N x N matrix is made.
            None: all of them.

    Returns:
        (B, G, R, N), float32 or, for a float64 input, float64.

    Raises:
        ValueError: for shapes that do not fit, an unknown ``softmax_over``, or rows that are no
            target positions.
    """
    _check_tokens(softmax_over, s_key, t_query)
    scale = scale_of(scale, s_key.shape[-1])
    with full_precision(s_key):
        s_key, t_query = at_least_float32(s_key, t_query)
        query, key = (t_query, s_key) if softmax_over == 'student' else (s_key, t_query)
        if rows is not None:
            _check_rows(rows, query.shape[2])
            query = query[:, :, rows.to(query.device)]  # (B, G, R, D)
        return _weights(query, key, scale)


def tat_loss(
    s_key: Tensor,
    s_value: Tensor,
    t_query: Tensor,
    t_target: Tensor,
    *,
    softmax_over: str = 'teacher',
    scale: Union[float, str] = 'auto',
) -> Tensor:
    r"""Mean squared error between the rebuilt student tokens and the teacher's (the paper's L_TaT).

    The paper writes the L2 norm; its released code uses the mean over all elements, as here.

    Args:
        s_key, s_value, t_query, softmax_over, scale: see :func:`target_aware_attention`.
        t_target: f^t, (B, G, N_t, E).

    Returns:
        A scalar, float32 or float64.

    Raises:
        ValueError: for shapes that do not fit.
    """
    if s_value.shape[-1] != t_target.shape[-1]:
        raise ValueError(
            f's_value has {s_value.shape[-1]} channels, t_feature has {t_target.shape[-1]}: '
            'the rebuilt student feature needs the width of the teacher feature'
        )
    rebuilt = target_aware_attention(
        s_key, s_value, t_query, softmax_over=softmax_over, scale=scale
    )
    if rebuilt.shape != t_target.shape:
        raise ValueError(
            f't_feature has tokens of shape {tuple(t_target.shape)}, t_query gives '
            f'{tuple(rebuilt.shape)}: both must come from the same teacher map'
        )
    return F.mse_loss(rebuilt, t_target.to(rebuilt.dtype))


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


def full_precision(x: Tensor) -> contextlib.AbstractContextManager:
    """Autocast switched off on the device of ``x`` (a meta tensor has none)."""
    return contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def at_least_float32(*tensors: Tensor) -> list[Tensor]:
    """The tensors in one dtype: float32, or float64 where one of them is."""
    dtype = torch.float32
    for x in tensors:
        dtype = torch.promote_types(dtype, x.dtype)
    return [x.to(dtype) for x in tensors]


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


def check_direction(softmax_over: str) -> None:
    """Raise ValueError unless ``softmax_over`` is a known direction."""
    if softmax_over not in DIRECTIONS:
        raise ValueError(f'softmax_over must be one of {DIRECTIONS}, got {softmax_over!r}')


def scale_of(scale: Union[float, str], width: int) -> float:
    """c for tokens of some width: ``scale`` itself, or for 'auto' 1 / sqrt(width).

    Raises:
        ValueError: another word.
    """
    if isinstance(scale, str):
        if scale != 'auto':
            raise ValueError(f"scale must be a number or 'auto', got {scale!r}")
        return width**-0.5
    return scale


def check_pair(s_map: Tensor, t_map: Tensor, softmax_over: str) -> None:
    """Raise ValueError unless two maps (B, C, H, W) have as many images, and a size that suits."""
    if not 0 < len(s_map) == len(t_map):
        raise ValueError(
            f's_feature has {len(s_map)} images, t_feature has {len(t_map)}: both need the same, '
            'at least one'
        )
    if softmax_over == 'teacher' and s_map.shape[2:] != t_map.shape[2:]:
        raise ValueError(
            "softmax_over='teacher' needs maps of one size, got "
            f'{tuple(s_map.shape[2:])} and {tuple(t_map.shape[2:])}; '
            "softmax_over='student' takes any"
        )


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """softmax(scale * query key^T) value over the last two dimensions."""
    if max(query.shape[-2], key.shape[-2]) <= _SHORT_SEQUENCE:
        return _weights(query, key, scale) @ value
    # The kernels that store no N x N matrix want rows of stride 1, one width for all three and,
    # on a GPU, a width that divides by 8.
    depth, value_depth = query.shape[-1], value.shape[-1]
    width = -(-max(depth, value_depth) // 8) * 8
    query, key, value = (
        F.pad(x, (0, width - x.shape[-1])).contiguous() for x in (query, key, value)
    )
    out = F.scaled_dot_product_attention(query, key, value, scale=scale)
    return out[..., :value_depth]


def _weights(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """softmax(scale * query key^T) over the last dimension: (B, G, N_q, N_k)."""
    return (scale * query @ key.transpose(-2, -1)).softmax(dim=-1)


def _check_tokens(
    softmax_over: str, s_key: Tensor, t_query: Tensor, s_value: Optional[Tensor] = None
) -> None:
    check_direction(softmax_over)
    tokens = dict(s_key=s_key, s_value=s_value, t_query=t_query)
    tokens = {name: x for name, x in tokens.items() if x is not None}
    shapes = ', '.join(f'{name} {tuple(x.shape)}' for name, x in tokens.items())
    if any(x.dim() != 4 for x in tokens.values()):
        raise ValueError(f'tokens must be (B, G, N, D), got {shapes}')
    if s_key.shape[-1] != t_query.shape[-1]:
        raise ValueError(
            f's_key has {s_key.shape[-1]} channels, t_query has {t_query.shape[-1]}: their inner '
            f'product needs the same width (project one of them); got {shapes}'
        )
    if s_value is not None and s_key.shape[:3] != s_value.shape[:3]:
        raise ValueError(f's_key and s_value must come from the same student map, got {shapes}')
    if s_key.shape[:2] != t_query.shape[:2]:
        raise ValueError(f'student and teacher need the same batch and groups, got {shapes}')
    if softmax_over == 'teacher' and s_key.shape[2] != t_query.shape[2]:
        raise ValueError(
            "softmax_over='teacher' needs as many student as teacher positions, got "
            f"{s_key.shape[2]} and {t_query.shape[2]}; softmax_over='student' takes any"
        )


def _check_rows(rows: Tensor, positions: int) -> None:
    if rows.dim() != 1 or rows.dtype != torch.int64:
        raise ValueError(
            f'rows must be (R,) of int64, got shape {tuple(rows.shape)} of {rows.dtype}'
        )
    if rows.numel() and not 0 <= int(rows.min()) <= int(rows.max()) < positions:
        raise ValueError(
            f'rows must be target positions, 0 to {positions - 1}, got {rows.tolist()}'
        )


def _check_map(x: Tensor) -> None:
    if x.dim() != 4:
        raise ValueError(f'a map must be (B, C, H, W), got shape {tuple(x.shape)}')


def _is_positive(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
