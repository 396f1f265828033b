r"""Correlation congruence."""

import math

import torch
import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_count, check_weight


@MODELS.register_module()
class CCLoss(DistillLoss):
    r"""Correlation congruence for knowledge distillation (Peng et al., ICCV 2019).

    The correlation between the images of a batch, by a Gaussian kernel in its Taylor series:

    .. math:: L = w \frac{1}{B^2} \sum_{i,j} \big( K(f^s_i, f^s_j) - K(f^t_i, f^t_j) \big)^2,
        \quad K(x, y) = \sum_{p=0}^{P} e^{-2\gamma} \frac{(2\gamma)^p}{p!} (x^T y)^p

    for features of length 1. Student and teacher may differ in width: the
    kernel compares within each.

    The code that the published CIFAR-100 figures named CC come from (Tian et al., ICLR 2020)
    compares products of differences of neighbouring images in a learnt space of 128 dimensions
    instead; that is another loss, and is not this one.

    Args:
        loss_weight: w, at least 0.
        gamma: of the kernel. The authors use 0.4.
        order: P, 2 in the paper.
    """

    least_images = 2

    def __init__(self, loss_weight: float = 1.0, gamma: float = 0.4, order: int = 2) -> None:
        super().__init__(loss_weight)
        check_weight('gamma', gamma, positive=True)
        check_count('order', order)
        self.gamma, self.order = gamma, order

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        return (self._kernel(s) - self._kernel(t)).square().mean()

    def _kernel(self, x: Tensor) -> Tensor:
        x = F.normalize(x, dim=1)
        cosine = x @ x.mT  # (B, B)
        kernel = torch.zeros_like(cosine)
        for p in range(self.order + 1):
            kernel = kernel + (2 * self.gamma) ** p / math.factorial(p) * cosine**p
        return math.exp(-2 * self.gamma) * kernel
