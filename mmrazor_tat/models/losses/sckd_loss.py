r"""Knowledge distillation at the logits, where it agrees with the labels."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmrazor.registry import MODELS
from torch import Tensor

from ...functional import at_least_float32, full_precision
from ..data_samples import class_targets
from .base import DistillLoss, check_weight


@MODELS.register_module()
class SCKDLoss(DistillLoss):
    r"""Student customized knowledge distillation, SCKD (Zhu and Wang, ICCV 2021): a reading of it.

    Hinton's loss, switched off in the iterations in which its gradient goes against that of the
    labels:

    .. math:: L = w \gamma \frac{\tau^2}{B} \sum_b \mathrm{KL}(p^t_b \| p^s_b), \quad
        \gamma = [\cos(g^{task}, g^{kd}) \ge \varphi], \quad p = \mathrm{softmax}(z / \tau)

    with the gradients at the student's logits, all images of the batch as one vector:
    g_task = softmax(z_s) - y and g_kd = tau (p_s - p_t). gamma is a constant to the backward pass.

    **From the paper's abstract**: the teacher teaches only where the student benefits, which the
    similarity of the gradients of both losses tells. **From an unsigned summary of it in a public
    repository**, as we could not read its text: the similarity is a cosine, the gate is 0 or 1 for
    each loss in each iteration, below a threshold phi it is 0, and phi = 0 did best. **Ours**: the
    gradients are those at the logits (the paper's may be those of the weights); the vector is the
    whole batch, of all processes; temperature and weight are Hinton's. The authors gate feature
    losses as well. Their code is not public. The cosine of gradients as the weight of a second loss
    is that of Du et al. (https://arxiv.org/abs/1812.02224).

    ``logged_values`` has gamma and the cosine of the last batch.

    Args:
        tau: temperature, above 0. On CIFAR-100 the usual value is 4.
        threshold: phi, from -1 to 1. At -1 nothing is switched off: Hinton's loss.
        loss_weight: w, at least 0.

    Raises:
        ValueError: a setting out of range; in ``forward`` inputs that do not fit.
    """

    def __init__(self, tau: float = 4.0, threshold: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        check_weight('tau', tau, positive=True)
        is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
        if not is_number or not -1 <= threshold <= 1:
            raise ValueError(f'threshold must be a cosine, from -1 to 1, got {threshold!r}')
        self.tau, self.threshold = tau, threshold
        self.logged_values: dict[str, Tensor] = {}

    def forward(
        self,
        preds_S: Tensor,  # noqa: N803 (MMRazor's names)
        preds_T: Tensor,  # noqa: N803
        data_samples: Sequence[Any],
    ) -> Tensor:
        """The loss of a batch.

        Args:
            preds_S: logits of the student, (B, K).
            preds_T: logits of the teacher, the same shape; no gradient flows into them.
            data_samples: B, with ``gt_label`` or ``gt_score``; see
                :mod:`mmrazor_tat.models.data_samples`.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        if preds_S.dim() != 2 or preds_S.shape != preds_T.shape:
            raise ValueError(
                f'preds_S has shape {tuple(preds_S.shape)}, preds_T has {tuple(preds_T.shape)}: '
                'SCKDLoss compares logits (B, K) of one shape'
            )
        with full_precision(preds_S):
            z_s, z_t = at_least_float32(preds_S, preds_T.detach())
            cosine = self.cosine(z_s, z_t, class_targets(data_samples, z_s))
            # A cosine of -1 may round to less: nothing is below a threshold of -1.
            gate = (cosine >= self.threshold) | (self.threshold == -1)
            s_log, t_log = ((z / self.tau).log_softmax(1) for z in (z_s, z_t))
            kl = F.kl_div(s_log, t_log, reduction='batchmean', log_target=True)
            loss = gate * self.tau**2 * kl
        self.logged_values = dict(gate=gate.to(loss.dtype), cosine=cosine)
        return self.loss_weight * loss

    @torch.no_grad()
    def cosine(self, z_s: Tensor, z_t: Tensor, targets: Tensor) -> Tensor:
        """Of the two gradients at logits (B, K), a scalar; 1 where one of them vanishes."""
        task = z_s.softmax(1) - targets
        kd = (z_s / self.tau).softmax(1) - (z_t / self.tau).softmax(1)  # tau scales, no more
        products = torch.stack([(task * kd).sum(), task.square().sum(), kd.square().sum()])
        all_reduce(products)
        both, of_task, of_kd = products
        lengths = of_task.sqrt() * of_kd.sqrt()
        return torch.where(lengths > 0, both / lengths, 1.0)
