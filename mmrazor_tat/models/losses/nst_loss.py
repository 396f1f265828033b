r"""Neuron selectivity transfer."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_map


@MODELS.register_module()
class NSTLoss(DistillLoss):
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
    """

    def check(self, s: Tensor, t: Tensor) -> None:
        check_map('s_feature', s)
        check_map('t_feature', t)
        if len(s) != len(t):
            raise ValueError(
                f's_feature has {len(s)} images, t_feature has {len(t)}: both need the same'
            )

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        size = [min(pair) for pair in zip(s.shape[2:], t.shape[2:])]
        s, t = (F.normalize(F.adaptive_avg_pool2d(x, size).flatten(2), dim=2) for x in (s, t))
        return _kernel(t, t) + _kernel(s, s) - 2 * _kernel(t, s)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """The mean of (x_i^T y_j)^2 over images and pairs of channels; (B, C, N) each."""
    return (x @ y.mT).square().mean()
