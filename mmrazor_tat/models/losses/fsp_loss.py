r"""The flow of the solution procedure."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_map


@MODELS.register_module()
class FSPLoss(DistillLoss):
    r"""A gift from knowledge distillation (Yim et al., CVPR 2017).

    How each stage follows from the one before, as the Gram matrix between their channels:

    .. math:: L = w \sum_k \frac{1}{B C_k C_{k+1}} \sum_b \big\| G^s_{b,k} - G^t_{b,k} \big\|_F^2,
        \quad G_{b,k} = \frac{1}{H W} \sum_{i} f_{b,k,i} f_{b,k+1,i}^T

    with the mean over a matrix, as in the usual code. Where two stages differ in
    size the larger one is average-pooled. Student and teacher need the same widths, as nothing
    projects here. The authors train with this loss alone first, and with the labels alone then;
    ``LossScheduleHook`` and ``calculate_student_loss`` are for that.

    Args:
        loss_weight: w, at least 0. The usual code on CIFAR-100 has 1, before the labels come.
    """

    def forward(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            s_features: at least two stages of the student, (B, C_k, H_k, W_k) each, in their order.
            t_features: as many of the teacher.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        return self.of_levels(s_features, t_features)

    def check(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> None:
        if not 2 <= len(s) == len(t):
            raise ValueError(
                f'FSPLoss takes as many stages of both, at least two, got {len(s)} of the student '
                f'and {len(t)} of the teacher'
            )
        for k, (x, y) in enumerate(zip(s, t)):
            check_map(f's_features[{k}]', x)
            check_map(f't_features[{k}]', y)
            if x.shape[:2] != y.shape[:2]:
                raise ValueError(
                    f's_features[{k}] has shape {tuple(x.shape)}, t_features[{k}] has '
                    f'{tuple(y.shape)}: FSPLoss needs the same widths in both networks'
                )

    def compare(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> Tensor:
        flows = zip(zip(s, s[1:]), zip(t, t[1:]))
        return sum((_flow(*own) - _flow(*other)).square().mean() for own, other in flows)


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """(B, C, H, W) and (B, D, H', W') -> (B, C, D)."""
    size = [min(pair) for pair in zip(first.shape[2:], second.shape[2:])]
    first, second = (F.adaptive_avg_pool2d(x, size).flatten(2) for x in (first, second))
    return first @ second.mT / first.shape[2]
