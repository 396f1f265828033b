r"""Similarity-preserving distillation."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss


@MODELS.register_module()
class SPLoss(DistillLoss):
    r"""Similarity-preserving knowledge distillation (Tung and Mori, ICCV 2019).

    Images that the teacher finds alike shall be alike to the student:

    .. math:: L = w \frac{1}{B^2} \big\| G(f^s) - G(f^t) \big\|_F^2, \quad
        G(f) = \mathrm{rows}(A A^T)

    A is (B, CHW), a row an image; ``rows`` divides every row by its L2 norm.
    The maps may differ in width and size.

    Args:
        loss_weight: w, at least 0. On CIFAR-100 the usual value is 3000.
    """

    least_images = 2

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        return (_similarity(s) - _similarity(t)).square().mean()


def _similarity(x: Tensor) -> Tensor:
    return F.normalize(x @ x.mT, dim=1)  # (B, D) -> (B, B)
