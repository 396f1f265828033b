r"""Similarity-preserving distillation."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import full_precision
from .checks import check_weight, image_vectors


@MODELS.register_module()
class SPLoss(nn.Module):
    r"""Similarity-preserving knowledge distillation (Tung and Mori, ICCV 2019).

    Images that the teacher finds alike shall be alike to the student:

    .. math:: L = w \frac{1}{B^2} \big\| G(f^s) - G(f^t) \big\|_F^2, \quad
        G(f) = \mathrm{rows}(A A^T)

    A is (B, CHW), a row an image; ``rows`` divides every row by its L2 norm.
    The maps may differ in width and size.

    Args:
        loss_weight: w, at least 0. On CIFAR-100 the usual value is 3000.

    Raises:
        ValueError: a weight out of range; in ``forward`` another number of images.
    """

    least_images = 2  # a batch of one has nothing to compare; the dry run asks

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        self.loss_weight = loss_weight

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: (B, ...), of the student.
            t_feature: (B, ...), of the teacher; no gradient flows into it.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        with full_precision(s_feature):
            s, t = image_vectors(s_feature, t_feature)
            loss = (_similarity(s) - _similarity(t)).square().mean()
        return self.loss_weight * loss


def _similarity(x: Tensor) -> Tensor:
    return F.normalize(x @ x.mT, dim=1)  # (B, D) -> (B, B)
