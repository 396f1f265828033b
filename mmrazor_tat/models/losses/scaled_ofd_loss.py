r"""Overhaul's partial distance, scaled to the size of a map."""

import math
from collections.abc import Sequence

from mmrazor.models.losses import OFDLoss
from mmrazor.registry import MODELS
from torch import Tensor

from ...functional import at_least_float32, full_precision
from .base import check_count, check_same_shape, check_weight


@MODELS.register_module()
class ScaledOFDLoss(OFDLoss):
    r"""MMRazor's ``OFDLoss`` ("A Comprehensive Overhaul of Feature Distillation", Heo et al., ICCV
    2019), as strong on every map as on the one that its weight is meant for.

    .. math:: L = \frac{w}{1000} \frac{N_0}{N} \frac{1}{B} \sum
        \begin{cases} 0 & s \le t \le 0 \\ (s - t)^2 & \text{else}\end{cases}

    N is the number of elements of an image's map, C H W, and N_0 that of the map that w is meant
    for. The authors' loss and MMRazor's have no N_0 / N: they are sums, so at the same weight a map
    of twice the positions, or of twice the channels, weighs twice as much against the labels.

    Args:
        meant_for: (C, H, W), the map at which this is MMRazor's loss.
        loss_weight: w, at least 0.

    Raises:
        ValueError: a setting out of range; in ``forward`` maps of different shapes.
    """

    def __init__(self, meant_for: Sequence[int], loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        check_weight('loss_weight', loss_weight)
        if not isinstance(meant_for, (list, tuple)) or len(meant_for) != 3:
            raise ValueError(f'meant_for must be (C, H, W), got {meant_for!r}')
        for name, value in zip(('C', 'H', 'W'), meant_for):
            check_count(f'{name} of meant_for', value)
        self.meant_for = tuple(meant_for)

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: (B, C, H, W), of the teacher's width.
            t_feature: (B, C, H, W), cut at the margin; no gradient flows into it.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        check_same_shape('s_feature', s_feature, 't_feature', t_feature)
        with full_precision(s_feature):
            s, t = at_least_float32(s_feature, t_feature.detach())
            return super().forward(s, t) * (math.prod(self.meant_for) / s[0].numel())

    def extra_repr(self) -> str:
        return f'meant_for={self.meant_for}, loss_weight={self.loss_weight}'
