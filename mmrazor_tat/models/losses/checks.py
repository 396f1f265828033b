"""What losses ask of their settings and of a pair of maps."""

import math

from torch import Tensor


def check_weight(name: str, value: float, positive: bool = False) -> None:
    """Raise ValueError unless ``value`` is a finite number of at least 0, or above 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (positive and value == 0):
        least = 'above 0' if positive else 'of at least 0'
        raise ValueError(f'{name} must be a finite number {least}, got {value!r}')


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless ``value`` is an integer of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        wanted = 'a positive integer' if least == 1 else f'an integer of at least {least}'
        raise ValueError(f'{name} must be {wanted}, got {value!r}')


def check_same_shape(s_name: str, s_map: Tensor, t_name: str, t_map: Tensor) -> None:
    """Raise ValueError unless two maps (B, C, H, W) have one shape."""
    if s_map.dim() != 4 or s_map.shape != t_map.shape:
        raise ValueError(
            f'{s_name} has shape {tuple(s_map.shape)}, {t_name} has {tuple(t_map.shape)}: this '
            'loss compares maps (B, C, H, W) of one shape'
        )


def check_map(name: str, x: Tensor) -> None:
    """Raise ValueError unless ``x`` is a map (B, C, H, W)."""
    if x.dim() != 4:
        raise ValueError(f'{name} has shape {tuple(x.shape)}, this loss takes maps (B, C, H, W)')
