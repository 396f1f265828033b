"""The attention of a block, its error and at once its gradient."""

import math
from typing import Optional, Union

import torch
from torch import Tensor

from ..functional import flush_tiny, scale_of
from .affine import Maps
from .settings import Settings
from .views import Block


def attend(
    block: Block,
    maps: Maps,
    dmaps: Optional[Maps],
    weight: float,
    scale: Union[float, str],
    settings: Settings,
) -> Tensor:
    """The sum of squared errors of a block.

    Unless ``dmaps`` is None, adds ``weight`` times its gradient to ``dmaps`` and the block's
    ``ds``. K = b*G below, the groups of all images.
    """
    images = block.s.shape[0]
    s, t = block.s.flatten(0, 1), block.t.flatten(0, 1)  # (K, N_s, p*C_s), (K, N_t, p*C_t)
    ds = None if block.ds is None else block.ds.flatten(0, 1)
    rows_are_student = settings.softmax_over == 'teacher'
    rows, columns = (s, t) if rows_are_student else (t, s)
    gamma = settings.projections[0].weight
    width = maps.logit.shape[1] if gamma is None else len(gamma)  # of a projected map
    scale = scale_of(scale, s.shape[2] // maps.logit.shape[1] * width)
    column_bias = _project(columns, images, maps.logit_bias.unsqueeze(1)).sum(-1).unsqueeze(1)
    if rows_are_student:
        projected = _project(t, images, maps.logit)  # (K, N_t, p*C_s)
    if dmaps is not None:
        of_logits = _GradientOfLogits(s, t, ds, maps, dmaps, images, rows_are_student)

    squares = s.new_zeros(())
    step = max(1, settings.budget.logits // (len(s) * max(columns.shape[1], s.shape[2])))
    # The large buffers, made once: fresh ones cost page faults, and leave a heap full of holes.
    room = s.new_empty(3, len(s) * min(step, rows.shape[1]) * columns.shape[1])
    for start in range(0, rows.shape[1], step):
        here = slice(start, start + step)
        target = t[:, here]
        shape = (len(s), target.shape[1], columns.shape[1])
        # (K, R, N) each, contiguous: the softmax kernels write into nothing else rightly.
        logits, weights, dlogits = (x[: math.prod(shape)].view(shape) for x in room)
        if rows_are_student:
            factors = s[:, here], projected.mT
        else:
            projected = _project(target, images, maps.logit)
            factors = projected, s.mT
        torch.baddbmm(column_bias, *factors, beta=scale, alpha=scale, out=logits)
        flush_tiny(torch.softmax(logits, -1, out=weights))
        mixed = torch.bmm(weights, s)  # (K, R, p*C_s)
        error = _project(mixed, images, maps.value, maps.value_bias).sub_(target)
        squares += error.square().sum()
        if dmaps is None:
            continue

        error *= 2 * weight
        _add_weight_gradient(dmaps.value, images, error, mixed)
        _add_bias_gradient(dmaps.value_bias, images, error)
        dmixed = _project(error, images, maps.value.mT)
        # The kernel behind softmax's own backward: one pass over the block. (The row sums are also
        # <dmixed, mixed>, but the terms must cancel exactly where a weight is 1.)
        # Times c, so that ``dlogits`` is the gradient before the logits are scaled.
        dweights = torch.baddbmm(column_bias, dmixed, s.mT, beta=0, alpha=scale, out=logits)
        torch.ops.aten._softmax_backward_data.out(
            dweights, weights, -1, weights.dtype, grad_input=dlogits
        )
        ds.baddbmm_(weights.mT, dmixed)
        of_logits.add(dlogits, here, projected)

    if dmaps is not None:
        del room, logits, weights, dlogits, dweights  # else they stand beside what finish() makes
        of_logits.finish()
        block.finish()
    return squares


class _GradientOfLogits:
    r"""From the logits' gradient to those of s, of M and of its bias c.

    With G (N_s, N_t) the gradient of s (t M^T)^T, a product with G is needed for ds = G (t M^T) and
    one for dM = (G^T s)^T t. Or one for both: ds = (G t) M^T, dM = s^T (G t).

    Args:
        s, t, ds: tokens, (K, N, p*C).
        rows_are_student: which map the rows of the softmax are of; c belongs to the other.
    """

    def __init__(
        self,
        s: Tensor,
        t: Tensor,
        ds: Tensor,
        maps: Maps,
        dmaps: Maps,
        images: int,
        rows_are_student: bool,
    ) -> None:
        self.s, self.t, self.ds = s, t, ds
        self.maps, self.dmaps, self.images = maps, dmaps, images
        self.rows_are_student = rows_are_student
        c_s, c_t = maps.logit.shape[1:]
        # Whichever multiplies less: G t asks for one product with M more.
        self.is_one_product = t.shape[1] * c_t + c_s * c_t < 2 * t.shape[1] * c_s
        shape = (*s.shape[:2], t.shape[2]) if self.is_one_product else (*t.shape[:2], s.shape[2])
        self.product = s.new_zeros(shape)  # G t, or G^T s
        self.columns = t if rows_are_student else s
        self.dbias = s.new_zeros(len(s), 1, self.columns.shape[1])

    def add(self, dlogits: Tensor, rows: slice, projected: Tensor) -> None:
        """Take in some rows of the softmax.

        Args:
            dlogits: (K, R, N).
            rows: which ones.
            projected: t M^T; where the rows are the teacher's, of these rows alone.
        """
        every = slice(None)
        of_s, of_t = (rows, every) if self.rows_are_student else (every, rows)
        g = dlogits if self.rows_are_student else dlogits.mT  # (K, N_s, N_t)
        if self.is_one_product:
            self.product[:, of_s].baddbmm_(g, self.t[:, of_t])
        else:
            self.ds[:, of_s].baddbmm_(g, projected)
            self.product[:, of_t].baddbmm_(g.mT, self.s[:, of_s])
        self.dbias += dlogits.sum(1, keepdim=True)

    def finish(self) -> None:
        """Add what depends on all rows."""
        if self.is_one_product:
            _add_weight_gradient(self.dmaps.logit, self.images, self.s, self.product)
            self.ds += _project(self.product, self.images, self.maps.logit)
        else:
            _add_weight_gradient(self.dmaps.logit, self.images, self.product, self.t)
        bias, dbias = self.maps.logit_bias, self.dmaps.logit_bias
        parts = self.columns.shape[2] // bias.shape[1]  # p
        dlogit_bias = self.dbias.mT.expand(-1, -1, parts)  # (K, N, p)
        _add_weight_gradient(dbias.unsqueeze(1), self.images, dlogit_bias, self.columns)
        if not self.rows_are_student:
            self.ds += _project(dlogit_bias, self.images, bias.unsqueeze(2))


def _project(x: Tensor, images: int, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """Every part of every token: (K, N, p*C) -> (K, N, p*E).

    Args:
        images: b, with K = b * G.
        weight: (b or 1, E, C).
        bias: (b or 1, E).
    """
    tokens = x.reshape(images, -1, weight.shape[2])  # (b, G*N*p, C)
    weight = weight.expand(images, -1, -1)
    if bias is None:
        y = torch.bmm(tokens, weight.mT)
    else:
        y = torch.baddbmm(bias.unsqueeze(1), tokens, weight.mT)
    return y.view(x.shape[0], x.shape[1], -1)


def _add_weight_gradient(dweight: Tensor, images: int, dy: Tensor, x: Tensor) -> None:
    """Add the gradient of a weight of ``_project`` to ``dweight``, given that of its result."""
    dy = dy.reshape(images, -1, dweight.shape[1])
    x = x.reshape(images, -1, dweight.shape[2])
    if dweight.shape[0] == images:
        dweight.baddbmm_(dy.mT, x)
    else:
        dweight += torch.bmm(dy.mT, x).sum(0, keepdim=True)


def _add_bias_gradient(dbias: Tensor, images: int, dy: Tensor) -> None:
    """The same for a bias."""
    dbias += dy.reshape(images, -1, dbias.shape[1]).sum(1).sum_to_size(dbias.shape)
