r"""The flow of the solution procedure."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import at_least_float32, full_precision
from .checks import check_map, check_weight


@MODELS.register_module()
class FSPLoss(nn.Module):
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

    Raises:
        ValueError: a weight out of range; in ``forward`` fewer than two stages, or widths that
            differ.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        self.loss_weight = loss_weight

    def forward(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            s_features: the stages of the student, (B, C_k, H_k, W_k) each, in their order.
            t_features: as many of the teacher; no gradient flows into them.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        if not 2 <= len(s_features) == len(t_features):
            raise ValueError(
                f'FSPLoss takes as many stages of both, at least two, got {len(s_features)} of the '
                f'student and {len(t_features)} of the teacher'
            )
        for k, (s, t) in enumerate(zip(s_features, t_features)):
            check_map(f's_features[{k}]', s)
            check_map(f't_features[{k}]', t)
            if s.shape[:2] != t.shape[:2]:
                raise ValueError(
                    f's_features[{k}] has shape {tuple(s.shape)}, t_features[{k}] has '
                    f'{tuple(t.shape)}: FSPLoss needs the same widths in both networks'
                )
        loss = 0.0
        with full_precision(s_features[0]):
            for k in range(len(s_features) - 1):
                s = _flow(*at_least_float32(*s_features[k : k + 2]))
                t = _flow(*at_least_float32(*(x.detach() for x in t_features[k : k + 2])))
                loss = loss + (s - t).square().mean()
        return self.loss_weight * loss


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """(B, C, H, W) and (B, D, H', W') -> (B, C, D)."""
    size = [min(pair) for pair in zip(first.shape[2:], second.shape[2:])]
    first, second = (F.adaptive_avg_pool2d(x, size).flatten(2) for x in (first, second))
    return first @ second.mT / first.shape[2]
