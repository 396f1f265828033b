"""The side of the softmax, the scale, and the precision that is computed in."""

import contextlib
from typing import Union

import torch
from torch import Tensor

DIRECTIONS = ('student', 'teacher')


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


def flush_tiny(weights: Tensor) -> Tensor:
    """Set the weights of a softmax that nothing can see to zero, in place and unseen by autograd.

    On Intel CPUs a product with numbers below 1e-38 takes up to 100 times as long.
    """
    if weights.device.type == 'cpu' and weights.dtype != torch.float16:
        least = 0.1 * torch.finfo(weights.dtype).tiny ** 0.5  # 1e-20 in float32
        torch.nn.functional.threshold_(weights.data, least, 0.0)
    return weights


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


def full_precision(x: Tensor) -> contextlib.AbstractContextManager:
    """Autocast switched off on the device of ``x`` (a meta tensor has none)."""
    return contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def at_least_float32(*tensors: Tensor) -> list[Tensor]:
    """The tensors in one dtype: float32, or float64 where one of them is."""
    dtype = torch.float32
    for x in tensors:
        dtype = torch.promote_types(dtype, x.dtype)
    return [x.to(dtype) for x in tensors]
