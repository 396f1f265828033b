"""What the lean operator is measured against, for ``benchmark_operator.py`` alone.

Each takes a ``HierarchicalTaTLoss``, whose projections and views it uses, and a pair of maps, and
gives the same loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmrazor_tat.functional import scale_of
from mmrazor_tat.models import HierarchicalTaTLoss, PatchGroupTaTLoss, TaTLoss


def released_loop(loss: HierarchicalTaTLoss, s_feature: Tensor, t_feature: Tensor) -> Tensor:
    """The computation of the authors' released code: one image at a time, patches by unfold, einsum
    and a stored softmax. (Its direction is that of ``loss``: the work is the same either way.)
    """
    total = 0
    for s, t in zip(s_feature.split(1), t_feature.split(1)):
        key, value, query = loss.gamma(s), loss.phi(s), loss.theta(t)
        for view in loss.views.values():
            k, v, q, target = (_channels_first(view, x) for x in (key, value, query, t))
            rows, columns = (q, k) if loss.softmax_over == 'student' else (k, q)
            scale = scale_of(view.scale, rows.shape[1])
            logits = torch.einsum('gdi,gdj->gij', scale * rows, columns)
            rebuilt = torch.einsum('gij,gej->gei', torch.softmax(logits, dim=2), v)
            total = total + view.loss_weight * F.mse_loss(rebuilt, target)
    return total / len(s_feature)


def _channels_first(view: TaTLoss, x: Tensor) -> Tensor:
    """The tokens of one map, (1, C, H, W) -> (g, p*C, N)."""
    if not isinstance(view, PatchGroupTaTLoss):
        kernel = getattr(view, 'kernel', 1)
        return (F.avg_pool2d(x, kernel) if kernel > 1 else x).flatten(2)
    (n, m), channels = view.grid, x.shape[1]
    h, w = x.shape[2] // n, x.shape[3] // m
    patches = F.unfold(x[:, :, : n * h, : m * w], (h, w), stride=(h, w))  # (1, C*h*w, n*m)
    patches = patches.view(channels, h * w, view.groups, -1)  # (C, h*w, g, p)
    return patches.permute(2, 3, 0, 1).reshape(view.groups, -1, h * w)


def batched(loss: HierarchicalTaTLoss, s_feature: Tensor, t_feature: Tensor) -> Tensor:
    """The same for the batch at once: matrix product, stored softmax, matrix product."""
    key, value, query = loss.gamma(s_feature), loss.phi(s_feature), loss.theta(t_feature)
    total = 0
    for view in loss.views.values():
        k, v, q, target = (view.tokens(x) for x in (key, value, query, t_feature))
        rows, columns = (q, k) if loss.softmax_over == 'student' else (k, q)
        scale = scale_of(view.scale, rows.shape[-1])
        rebuilt = (scale * rows @ columns.mT).softmax(-1) @ v
        total = total + view.loss_weight * F.mse_loss(rebuilt, target)
    return total


def batched_sdpa(loss: HierarchicalTaTLoss, s_feature: Tensor, t_feature: Tensor) -> Tensor:
    """The package's own composed form: ``scaled_dot_product_attention`` for long sequences."""
    chosen, loss.lean = loss.lean, False
    try:
        return loss(s_feature, t_feature)
    finally:
        loss.lean = chosen


_compiled = torch.compile(batched, dynamic=False)


def compiled(loss: HierarchicalTaTLoss, s_feature: Tensor, t_feature: Tensor) -> Tensor:
    """``torch.compile`` of ``batched``."""
    return _compiled(loss, s_feature, t_feature)
