r"""Probabilistic knowledge transfer."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_weight


@MODELS.register_module()
class PKTLoss(DistillLoss):
    r"""Learning deep representations with probabilistic knowledge transfer (Passalis and Tefas,
    ECCV 2018).

    The cosine similarities of an image to those of the batch, as a distribution:

    .. math:: L = w \frac{1}{B^2} \sum_{i,j} p^t_{ij} \log
        \frac{p^t_{ij} + \epsilon}{p^s_{ij} + \epsilon}, \quad
        p_{ij} = \frac{(\cos(f_i, f_j) + 1) / 2}{\sum_k (\cos(f_i, f_k) + 1) / 2}

    the paper's cosine kernel. The sum over k has all images of the batch, the image
    itself too, and the mean is over all pairs, both as in the authors' code.

    Args:
        loss_weight: w, at least 0. On CIFAR-100 the usual value is 30000.
        eps: epsilon.
    """

    least_images = 2

    def __init__(self, loss_weight: float = 1.0, eps: float = 1e-7) -> None:
        super().__init__(loss_weight)
        check_weight('eps', eps, positive=True)
        self.eps = eps

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        p_s, p_t = _neighbours(s), _neighbours(t)
        return (p_t * ((p_t + self.eps) / (p_s + self.eps)).log()).mean()


def _neighbours(x: Tensor) -> Tensor:
    """(B, D) -> (B, B), rows that sum to 1."""
    x = F.normalize(x, dim=1)
    similarity = (x @ x.mT + 1) / 2
    return similarity / similarity.sum(1, keepdim=True)
