"""What losses ask of their settings and of a pair of maps."""

import math

from torch import Tensor

from ...functional import at_least_float32


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


def check_same_batch(s_name: str, s: Tensor, t_name: str, t: Tensor) -> None:
    """Raise ValueError unless both have as many images, at least two: they are compared."""
    if len(s) != len(t) or len(s) < 2:
        raise ValueError(
            f'{s_name} has {len(s)} images, {t_name} has {len(t)}: this loss compares the images '
            'of a batch, the same of both, at least two for each process'
        )


def image_vectors(s_feature: Tensor, t_feature: Tensor) -> list[Tensor]:
    """Features as a vector for each image.

    Args:
        s_feature: (B, ...), of the student.
        t_feature: (B, ...), of the teacher; no gradient flows into it.

    Returns:
        (B, D_s) and (B, D_t), in float32, or float64 where an input is.

    Raises:
        ValueError: another number of images, or one.
    """
    check_same_batch('s_feature', s_feature, 't_feature', t_feature)
    return at_least_float32(s_feature.flatten(1), t_feature.detach().flatten(1))
