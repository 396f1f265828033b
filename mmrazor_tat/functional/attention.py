"""Target-aware attention and its loss, of tokens (B, G, N, D)."""

from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from .settings import at_least_float32, check_direction, flush_tiny, full_precision, scale_of

# Up to here a stored softmax is faster than scaled_dot_product_attention (measured on a CPU); its
# matrix is at most 256 x 256 for one group.
_SHORT_SEQUENCE = 256


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
    return flush_tiny((scale * query @ key.transpose(-2, -1)).softmax(dim=-1))


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
