r"""Relational knowledge distillation."""

import torch
import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_weight


@MODELS.register_module()
class RKDLoss(DistillLoss):
    r"""Relational knowledge distillation (Park et al., CVPR 2019), by distances and angles.

    The distances of a batch's pairs and the angles of its triples, compared:

    .. math:: L = w \Big( w_D \frac{1}{B^2} \sum_{i,j} l(d^t_{ij}, d^s_{ij})
        + w_A \frac{1}{B^3} \sum_{i,j,k} l(a^t_{ijk}, a^s_{ijk}) \Big), \quad
        d_{ij} = \frac{\|f_i - f_j\|}{\mu}, \quad a_{ijk} = \cos \angle f_i f_j f_k

    mu is the mean of the batch's distances that are not 0; l is Huber's loss. The means are over
    all pairs and triples, the images paired with themselves too, as in the authors' code; a vector
    of length 0 has the cosine 0. Two images have one distance and no angle: nothing to learn.

    MMRazor's ``DistanceWiseRKD`` and ``AngleWiseRKD`` compute the same with
    ``with_l2_norm=False``, but a batch of one gives NaN, so do angles in float16, maps in
    channels_last raise, and two images that coincide for the student alone have a gradient of
    1e8 or more.

    Args:
        distance_weight: w_D, at least 0. On CIFAR-100 the usual value is 25.
        angle_weight: w_A, at least 0. On CIFAR-100 the usual value is 50. The authors' metric
            learning has 1 and 2, the same proportion.
        loss_weight: w, at least 0.
    """

    least_images = 2

    def __init__(
        self, distance_weight: float = 25.0, angle_weight: float = 50.0, loss_weight: float = 1.0
    ) -> None:
        super().__init__(loss_weight)
        check_weight('distance_weight', distance_weight)
        check_weight('angle_weight', angle_weight)
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        (s_distance, s_angle), (t_distance, t_angle) = _relations(s), _relations(t)
        loss = self.distance_weight * F.smooth_l1_loss(s_distance, t_distance)
        return loss + self.angle_weight * F.smooth_l1_loss(s_angle, t_angle)


def _relations(x: Tensor) -> tuple[Tensor, Tensor]:
    """(B, D) -> distances over their mean (B, B), cosines (B, B, B) with the vertex first."""
    vectors = x[None] - x[:, None]  # (B, B, D), from the first to the second
    squares = vectors.square().sum(2)
    apart = squares > 0
    # The square root has no gradient at 0; there the distance is 0 and its gradient left out.
    lengths = torch.where(apart, squares, 1).sqrt()
    distances = lengths * apart
    mean = distances.sum() / apart.sum().clamp(min=1)
    directions = vectors / lengths[..., None]
    return distances / torch.where(mean > 0, mean, 1), directions @ directions.mT
