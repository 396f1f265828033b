r"""Probabilistic knowledge transfer."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...functional import full_precision
from .checks import check_weight, image_vectors


@MODELS.register_module()
class PKTLoss(nn.Module):
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

    Raises:
        ValueError: a setting out of range; in ``forward`` another number of images.
    """

    least_images = 2  # a batch of one has nothing to compare; the dry run asks

    def __init__(self, loss_weight: float = 1.0, eps: float = 1e-7) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        check_weight('eps', eps, positive=True)
        self.loss_weight = loss_weight
        self.eps = eps

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: (B, ...), of the student; the usual one is the pooled last map.
            t_feature: (B, ...), of the teacher; no gradient flows into it.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        with full_precision(s_feature):
            s, t = image_vectors(s_feature, t_feature)
            p_s, p_t = _neighbours(s), _neighbours(t)
            loss = (p_t * ((p_t + self.eps) / (p_s + self.eps)).log()).mean()
        return self.loss_weight * loss


def _neighbours(x: Tensor) -> Tensor:
    """(B, D) -> (B, B), rows that sum to 1."""
    x = F.normalize(x, dim=1)
    similarity = (x @ x.mT + 1) / 2
    return similarity / similarity.sum(1, keepdim=True)
