"""The affine maps of a pair: a projection and its norm as A x + b, and those of a loss in one."""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from .settings import Projection, Settings


class Maps(NamedTuple):
    """The affine maps of centred tokens, of each image (b of them) or, b = 1, of all."""

    logit: Tensor  # M, (b, C_s, C_t)
    # c. Its product with a token is the bias of that token's column in the softmax: a student's,
    # (b, C_s), where the softmax runs over the student's positions, else a teacher's, (b, C_t).
    logit_bias: Tensor
    value: Tensor  # A_phi, (b, C_t, C_s)
    value_bias: Tensor  # (b, C_t), less the mean of the target


def fold(
    settings: Settings, leaves: list[Optional[Tensor]], t_mean: Tensor, t_cov: Optional[Tensor]
) -> tuple[Maps, list[Tensor]]:
    """The maps of centred tokens; mean and variance that each batch norm measured."""
    gamma, phi, theta = settings.projections
    s_mean, s_cov = leaves[9:]
    a_gamma, b_gamma, *of_gamma = _affine(gamma, *leaves[0:3], s_mean, s_cov)
    a_phi, b_phi, *of_phi = _affine(phi, *leaves[3:6], s_mean, s_cov)
    a_theta, b_theta, *of_theta = _affine(theta, *leaves[6:9], t_mean, t_cov)
    # What is the same for all columns of a row changes no softmax: one of the biases drops out.
    if settings.softmax_over == 'student':
        logit_bias = (b_theta.unsqueeze(1) @ a_gamma).squeeze(1)
    else:
        logit_bias = (b_gamma.unsqueeze(1) @ a_theta).squeeze(1)
    maps = Maps(a_gamma.mT @ a_theta, logit_bias, a_phi, b_phi - t_mean)
    return maps, [x.detach().flatten() for x in (*of_gamma, *of_phi, *of_theta)]


def _affine(
    projection: Projection,
    weight: Optional[Tensor],
    gain: Optional[Tensor],
    bias: Optional[Tensor],
    mean: Tensor,
    cov: Optional[Tensor],
) -> tuple[Tensor, ...]:
    """A (b, E, C) and b (b, E) of a projection of centred tokens; of a batch norm also mean, var.

    Args:
        weight, gain, bias: those of the projection, as leaves.
        mean, cov: of the raw map, (b, C) and (b, C, C).
    """
    if weight is None:
        return torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)[None], mean
    projected_mean = mean @ weight.mT  # (b, E)
    if projection.is_measured:
        # The diagonal of W cov W^T. Its derivative by W is 2 W cov, which is at hand: autograd
        # would multiply once more. Rounding may put a variance of zero below zero.
        w = weight.detach()
        w_cov = w @ cov  # (b, E, C)
        var = (w_cov * w).sum(-1) + 2 * ((weight - w) * w_cov.detach()).sum(-1)
        var = var.clamp(min=0)
        measured = (projected_mean, var) if projection.norm == 'batch' else ()
        b = torch.zeros_like(var)
    else:
        measured = ()
        var = projection.var
        b = projected_mean if projection.mean is None else projected_mean - projection.mean
    a = weight.unsqueeze(0)
    if var is not None:
        std = (var + projection.eps).sqrt()
        a, b = a / std.unsqueeze(-1), b / std
    if gain is not None:
        a, b = a * gain.unsqueeze(-1), b * gain
    if bias is not None:
        b = b + bias
    return a, b, *measured


def leaf_gradients(
    graph: Maps, leaves: list[Optional[Tensor]], dmaps: Maps
) -> list[Optional[Tensor]]:
    """The leaves' gradients; zeros where the loss does not depend on one (DDP wants them)."""
    present = [x for x in leaves if x is not None]
    learnt = [(x, dx) for x, dx in zip(graph, dmaps) if x.requires_grad]  # an identity is not
    if not learnt:
        return [None if x is None else torch.zeros_like(x) for x in leaves]
    outputs, doutputs = zip(*learnt)
    found = iter(torch.autograd.grad(outputs, present, doutputs, materialize_grads=True))
    return [None if x is None else next(found) for x in leaves]
