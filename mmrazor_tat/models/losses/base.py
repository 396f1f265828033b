"""What the losses share, and what they ask of their settings and maps."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ...functional import at_least_float32, full_precision


class DistillLoss(nn.Module):
    """A loss between what is read of the student and of the teacher.

    A method gives :meth:`compare` and, where not everything can be compared, :meth:`check`. It is
    computed without autocast; no gradient flows into the teacher's side; the weight is applied
    once, at the return.

    Args:
        loss_weight: w, at least 0.

    Raises:
        ValueError: a weight out of range; in ``forward`` features that do not fit.
    """

    # Above 1 the images of a batch are compared with each other, as vectors. The dry run asks.
    least_images = 1

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        self.loss_weight = loss_weight

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: (B, C, H, W), or (B, ...) where images are compared; of the student.
            t_feature: the same of the teacher.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        if self.least_images > 1:
            if len(s_feature) != len(t_feature) or len(s_feature) < self.least_images:
                raise ValueError(
                    f's_feature has {len(s_feature)} images, t_feature has {len(t_feature)}: this '
                    'loss compares the images of a batch, the same of both, at least two for each '
                    'process'
                )
            s_feature, t_feature = s_feature.flatten(1), t_feature.flatten(1)
        self.check(s_feature, t_feature)
        with full_precision(s_feature):
            s, t = at_least_float32(s_feature, t_feature.detach())
            return self.loss_weight * self.compare(s, t)

    def of_levels(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """The same of lists of maps."""
        self.check(s_features, t_features)
        with full_precision(s_features[0]):
            both = at_least_float32(*s_features, *(t.detach() for t in t_features))
            count = len(s_features)
            return self.loss_weight * self.compare(both[:count], both[count:])

    def check(self, s: Any, t: Any) -> None:
        """Raise ValueError for what cannot be compared."""

    def compare(self, s: Any, t: Any) -> Tensor:
        """The loss without its weight, of features in one dtype."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        settings = {k: v for k, v in vars(self).items() if isinstance(v, (int, float, str, tuple))}
        return ', '.join(f'{k}={v!r}' for k, v in settings.items() if k != 'training')


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
