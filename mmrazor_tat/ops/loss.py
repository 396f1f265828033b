"""The loss as a function of autograd: chunks of images with the same statistics, block by block."""

import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..functional import check_direction, check_pair, full_precision
from .affine import Maps, fold, leaf_gradients
from .attention import attend
from .moments import Side, Team, add_gradient_of_moments
from .settings import CPU_BUDGET, GPU_BUDGET, Budget, Projection, Settings, View
from .views import blocks, size_of_view


class Result(NamedTuple):
    """Of :func:`hierarchical_tat`.

    Args:
        loss: the sum of the views' weighted losses, a scalar with a gradient.
        values: the summands, (number of views,), without one.
        statistics: mean and biased variance, (E,) each, of every projection of gamma, phi and
            theta with ``norm='batch'``, one after the other: for their running statistics.
    """

    loss: Tensor
    values: Tensor
    statistics: list[Tensor]


@torch.compiler.disable  # its loops over blocks would only make a large graph
def hierarchical_tat(
    s_feature: Tensor,
    t_feature: Tensor,
    gamma: Projection,
    phi: Projection,
    theta: Projection,
    views: list[View],
    *,
    softmax_over: str = 'teacher',
    budget: Optional[Budget] = None,
    repeatable: bool = False,
) -> Result:
    r"""Sum of TaT losses over views of a pair of maps that share their projections.

    .. math:: L = \sum_v w_v \, \mathrm{mse}\big(
        \mathrm{softmax}(c_v \, \gamma(s_v) \theta(t_v)^T) \, \phi(s_v), \; t_v \big)

    with s_v, t_v the tokens of view v (the paper's L_TaT^P and L_TaT^A). The gradient is computed
    together with the value, so ``backward`` only hands it out: it can be called once, unless
    ``repeatable``, and there is no second derivative. ``t_feature`` receives no gradient.

    Args:
        s_feature: (B, C_s, H_s, W_s).
        t_feature: (B, C_t, H_t, W_t).
        gamma, phi: C_s -> D and C_s -> C_t.
        theta: C_t -> D.
        views: at least one.
        softmax_over: 'teacher', the paper's parametric equation read row by row and both released
            code bases (maps of one size), or 'student', its non-parametric equations.
        budget: memory against speed; None: what suits the device.
        repeatable: whether ``backward`` can be called again, with ``retain_graph=True``. The
            gradients are then kept until the graph is freed: another copy of the student's map.

    Returns:
        A :class:`Result` in float32, or float64 where an input is.

    Raises:
        ValueError: an unknown ``softmax_over``; a view, a direction or a batch that the maps do
            not suit.
        RuntimeError: in a second backward.
    """
    check_direction(softmax_over)
    check_pair(s_feature, t_feature, softmax_over)
    for x in (s_feature, t_feature):
        for view in views:
            size_of_view(view, x)
    if budget is None:
        budget = CPU_BUDGET if s_feature.device.type == 'cpu' else GPU_BUDGET
    settings = Settings((gamma, phi, theta), views, softmax_over, budget)
    inputs = (s_feature, *settings.parameters())
    with_gradients = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in inputs
    )
    with full_precision(s_feature):
        loss, values, *statistics = _LossWithGradients.apply(
            settings, with_gradients, repeatable, t_feature, *inputs
        )
    return Result(loss, values, statistics)


class _LossWithGradients(torch.autograd.Function):
    """Computes the gradients in ``forward`` and hands them out in ``backward``."""

    @staticmethod
    def forward(ctx, settings, with_gradients, repeatable, t_feature, s_feature, *parameters):
        values, statistics, ctx.gradients = _loss_and_gradients(
            s_feature, t_feature, settings, with_gradients
        )
        ctx.repeatable = repeatable
        ctx.dtypes = [None if x is None else x.dtype for x in (s_feature, *parameters)]
        ctx.mark_non_differentiable(values, *statistics)
        return values.sum(), values, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx, dloss, *_):
        if ctx.gradients is None:
            raise RuntimeError(
                'hierarchical_tat: backward a second time. The gradient is made once, in the '
                'forward pass, and handed out; run the forward pass again'
            )
        if ctx.repeatable:
            gradients = [None if x is None else x.clone() for x in ctx.gradients]
        else:
            gradients, ctx.gradients = ctx.gradients, None
        # The rounding to the dtype of the input comes last, after a loss scale has been applied.
        gradients = [
            None if x is None else x.mul_(dloss).to(dtype)
            for x, dtype in zip(gradients, ctx.dtypes)
        ]
        return None, None, None, None, *gradients


def _loss_and_gradients(
    s: Tensor, t: Tensor, settings: Settings, with_gradients: bool
) -> tuple[Tensor, list[Tensor], Optional[list[Optional[Tensor]]]]:
    """The views' values, the batch norms' statistics, the gradients of s and all parameters."""
    gamma, phi, theta = settings.projections
    parameters = settings.parameters()
    dtype = torch.float32
    for x in (s, t, *(x for x in parameters if x is not None)):
        dtype = torch.promote_types(dtype, x.dtype)
    weights = [
        view.weight / (t.shape[:2].numel() * math.prod(size_of_view(view, t)))
        for view in settings.views
    ]
    values = torch.zeros(len(weights), dtype=dtype, device=s.device)
    ds = torch.zeros(s.shape, dtype=dtype, device=s.device) if with_gradients else None
    dparameters = [None if x is None else torch.zeros_like(x, dtype=dtype) for x in parameters]

    for team in _teams(s, t, settings):
        block = settings.budget.tokens // s.shape[1]
        student, teacher = (Side(x, team, dtype, block) for x in (s, t))
        t_cov = teacher.covariance() if theta.is_measured else None
        s_cov = student.covariance() if gamma.is_measured or phi.is_measured else None
        # From these leaves to the maps autograd keeps the books: all of it small matrices.
        leaves = [
            None if x is None else x.detach().to(dtype).requires_grad_(with_gradients)
            for x in (*parameters, student.mean, s_cov)
        ]
        with torch.set_grad_enabled(with_gradients):
            graph, statistics = fold(settings, leaves, teacher.mean, t_cov)
        maps = Maps(*(x.detach() for x in graph))
        dmaps = Maps(*(torch.zeros_like(x) for x in maps)) if with_gradients else None

        for chunk in team.chunks:
            dsc = ds[chunk] if with_gradients else None
            for k, (view, weight) in enumerate(zip(settings.views, weights)):
                for block in blocks(view, student, teacher, chunk, dsc):
                    squares = attend(block, maps, dmaps, weight, view.scale, settings)
                    values[k] += weight * squares

        if with_gradients:
            dleaves = leaf_gradients(graph, leaves, dmaps)
            for total, part in zip(dparameters, dleaves):
                if total is not None:
                    total += part
            if s_cov is not None:
                add_gradient_of_moments(ds, student, *dleaves[-2:])
    return values, statistics, [ds, *dparameters] if with_gradients else None


def _teams(s: Tensor, t: Tensor, settings: Settings) -> list[Team]:
    norms = {q.norm for q in settings.projections}
    if {'image', 'batch'} <= norms:
        raise ValueError("projections with norm='image' and with norm='batch' cannot be mixed")
    size = max(1, settings.budget.images // max(s[0].numel(), t[0].numel()))
    chunks = [slice(k, k + size) for k in range(0, s.shape[0], size)]
    if 'image' in norms:
        return [Team([chunk], per_image=True) for chunk in chunks]
    return [Team(chunks, per_image=False)]
