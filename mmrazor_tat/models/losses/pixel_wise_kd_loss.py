r"""Soft-label distillation for dense prediction."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from .base import DistillLoss, check_same_shape, check_weight


@MODELS.register_module()
class PixelWiseKDLoss(DistillLoss):
    r"""Knowledge distillation (Hinton et al., 2015) at every pixel, averaged over the pixels.

    .. math:: L = w \, \tau^2 \frac{1}{B H W} \sum_{b, i} \mathrm{KL}\big(
        \mathrm{softmax}(z^t_{b,i} / \tau) \,\|\, \mathrm{softmax}(z^s_{b,i} / \tau) \big)

    with the softmax over the classes; a single logit z, of a binary head with a sigmoid, stands for
    the two classes (0, z), whose softmax has sigmoid(z / tau). The pixel-wise term of "Structured
    Knowledge Distillation for Semantic Segmentation" (Liu et al., CVPR 2019), which uses tau = 1
    and w = 10.

    MMRazor's ``KLDivergence`` has the same softmax, but divides by the batch alone
    ('batchmean': the loss grows with the crop) or by the classes as well ('mean').

    Args:
        tau: temperature, above 0.
        loss_weight: w, at least 0.
    """

    def __init__(self, tau: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        check_weight('tau', tau, positive=True)
        self.tau = tau

    def forward(self, preds_S: Tensor, preds_T: Tensor) -> Tensor:  # noqa: N803 (MMRazor's names)
        """The loss of a batch.

        Args:
            preds_S: logits of the student, (B, K, H, W).
            preds_T: logits of the teacher, the same shape.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        return super().forward(preds_S, preds_T)

    def check(self, s: Tensor, t: Tensor) -> None:
        check_same_shape('preds_S', s, 'preds_T', t)

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        if s.shape[1] == 1:
            s, t = (F.pad(x, (0, 0, 0, 0, 1, 0)) for x in (s, t))
        s_log, t_log = ((x / self.tau).log_softmax(1) for x in (s, t))
        loss = F.kl_div(s_log, t_log, reduction='none', log_target=True).sum(1).mean()
        return self.tau**2 * loss
