r"""Neuron selectivity transfer."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import at_least_float32, full_precision
from .checks import check_map, check_weight


@MODELS.register_module()
class NSTLoss(nn.Module):
    r"""Like what you like: neuron selectivity transfer (Huang and Wang, 2017).

    The maximum mean discrepancy between the channels of both maps, with the polynomial kernel
    k(x, y) = (x^T y)^2:

    .. math:: L = w \frac{1}{B} \sum_b \Big[
        \frac{1}{C_t^2} \sum_{i,i'} k(t_i, t_{i'}) + \frac{1}{C_s^2} \sum_{j,j'} k(s_j, s_{j'})
        - \frac{2}{C_t C_s} \sum_{i,j} k(t_i, s_j) \Big]

    where a channel is the vector of its H*W values, of length 1. The maps may
    differ in width; the larger one is average-pooled to the size of the smaller one.

    Args:
        loss_weight: w, at least 0. On CIFAR-100 the usual value is 50, on every stage.

    Raises:
        ValueError: a weight out of range; in ``forward`` no maps, or another number of images.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        self.loss_weight = loss_weight

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: (B, C_s, H_s, W_s).
            t_feature: (B, C_t, H_t, W_t); no gradient flows into it.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        check_map('s_feature', s_feature)
        check_map('t_feature', t_feature)
        if len(s_feature) != len(t_feature):
            raise ValueError(
                f's_feature has {len(s_feature)} images, t_feature has {len(t_feature)}: both need '
                'the same'
            )
        with full_precision(s_feature):
            s, t = at_least_float32(s_feature, t_feature.detach())
            size = [min(pair) for pair in zip(s.shape[2:], t.shape[2:])]
            s, t = (F.normalize(F.adaptive_avg_pool2d(x, size).flatten(2), dim=2) for x in (s, t))
            loss = _kernel(t, t) + _kernel(s, s) - 2 * _kernel(t, s)
        return self.loss_weight * loss


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """The mean of (x_i^T y_j)^2 over images and pairs of channels; (B, C, N) each."""
    return (x @ y.mT).square().mean()
