r"""Knowledge review: maps of several levels, compared at several scales."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_same_shape

# Sides of the pooled maps, from fine to coarse: each counts half of the one before.
_SCALES = (4, 2, 1)


@MODELS.register_module()
class ReviewKDLoss(DistillLoss):
    r"""The hierarchical context loss of "Distilling Knowledge via Knowledge Review" (Chen et al.,
    CVPR 2021), summed over the levels.

    .. math:: L = w \sum_l \frac{\sum_k 2^{-k}\, \mathrm{mse}(P_k(s_l), P_k(t_l))}{\sum_k 2^{-k}}

    P_0 keeps a map, P_1, P_2, P_3 average it to 4 x 4, 2 x 2 and 1 x 1; a scale that the map is
    too low for (a side of at least the map's height) is left out of both sums. The student's maps
    are to come from a :class:`~mmrazor_tat.models.connectors.ReviewKDConnector`.

    Args:
        loss_weight: w, at least 0. The authors use 1 for ResNet-34 -> ResNet-18 on ImageNet, up
            to 8 for other pairs.
    """

    def forward(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            s_features: a map (B, C_l, H_l, W_l) for every level l.
            t_features: likewise, of the same shapes.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        return self.of_levels(s_features, t_features)

    def check(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> None:
        if len(s) != len(t):
            raise ValueError(f's_features has {len(s)} levels, t_features has {len(t)}')
        for level, pair in enumerate(zip(s, t)):
            names = f's_features[{level}]', f't_features[{level}]'
            check_same_shape(names[0], pair[0], names[1], pair[1])

    def compare(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> Tensor:
        return sum(map(_hierarchical_context, s, t))


def _hierarchical_context(s: Tensor, t: Tensor) -> Tensor:
    loss, weight, total = F.mse_loss(s, t), 1.0, 1.0
    for side in _SCALES:
        if side >= s.shape[2]:
            continue
        weight /= 2
        total += weight
        pooled = (F.adaptive_avg_pool2d(x, side) for x in (s, t))
        loss = loss + weight * F.mse_loss(*pooled)
    return loss / total
