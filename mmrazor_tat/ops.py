r"""The hierarchical TaT loss and its gradients in one pass: exact, fast, lean in memory.

Value and gradients are those of the composed form (project the maps, cut them into views, call
:func:`mmrazor_tat.functional.tat_loss`) to rounding. What makes the difference:

1. A 1x1 convolution and a norm are one affine map A x + b, and A and b follow from the mean and
   the covariance of x. No projected, normalised map of full size is made.
2. The projections of the logits fold into one matrix: theta(t)^T gamma(s) = (M t)^T s + two
   biases, with M = A_gamma^T A_theta; the softmax does not see the one that a row has in common.
3. A row of the softmax sums to one, so phi may follow the attention: the raw student tokens are
   the values too, and the attention runs at the student's width.
4. The loss is a sum over rows of the attention. A block of rows gives its loss and at once its
   gradient; no N x N matrix is kept and nothing is computed twice.
5. One product with the gradient G of the logits serves s and M: ds = (G t) M^T, dM = s^T (G t).
6. A few images, groups and rows are worked on at a time, so that they stay in the cache.

Shapes: maps are (B, C_s, H_s, W_s) and (B, C_t, H_t, W_t), tokens (b, G, N, p*C) as in
:mod:`mmrazor_tat.functional`; b is the number of images in a chunk. The arithmetic is float32, or
float64 where an input is.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .functional import (
    anchor_size,
    check_direction,
    check_groups,
    check_kernel,
    check_pair,
    full_precision,
    patch_groups,
    patch_size,
    scale_of,
    whole_map,
)


class Projection(NamedTuple):
    r"""gamma, phi or theta: a 1x1 convolution without bias, then a norm.

    .. math:: y = gain \cdot (W x - mean) / \sqrt{var + eps} + bias

    Args:
        weight: W, (E, C). None: the identity, without a norm.
        norm: where the mean and the variance of W x come from: 'image' (instance norm), 'batch'
            (batch norm in training), 'fixed' (batch norm in eval mode: ``mean`` and ``var`` are
            given) or None (no norm).
        gain, bias: (E,), or None for a norm without them.
        mean, var: (E,), for 'fixed'.
        eps: of the norm.
    """

    weight: Optional[Tensor] = None
    norm: Optional[str] = None
    gain: Optional[Tensor] = None
    bias: Optional[Tensor] = None
    mean: Optional[Tensor] = None
    var: Optional[Tensor] = None
    eps: float = 1e-5

    @property
    def is_measured(self) -> bool:
        """Whether the norm asks for the moments of the map."""
        return self.norm in ('image', 'batch')


class PatchGroupView(NamedTuple):
    """See :func:`mmrazor_tat.functional.patch_groups`.

    Args:
        weight: of its loss.
        scale: c, multiplies the logits; 'auto': 1 / sqrt(width of the tokens).
    """

    grid: tuple[int, int]
    groups: int
    weight: float = 1.0
    scale: Union[float, str] = 'auto'


class AnchorPointView(NamedTuple):
    """See :func:`mmrazor_tat.functional.anchor_points`. ``kernel=1`` is the whole map.

    Args:
        weight, scale: see :class:`PatchGroupView`.
    """

    kernel: int = 1
    weight: float = 1.0
    scale: Union[float, str] = 'auto'


View = Union[PatchGroupView, AnchorPointView]


class Budget(NamedTuple):
    """How many elements are worked on at once; one image, group and row always are."""

    images: int  # of the maps of a chunk of images
    tokens: int  # of the tokens of a block of patch groups
    logits: int  # of a block of attention rows


# On a CPU a block should stay in the cache (measured, tools/benchmark_operator.py). Elsewhere the
# cost of a launch asks for larger ones: an estimate, as no GPU was at hand.
CPU_BUDGET = Budget(images=2**22, tokens=2**19, logits=2**21)
GPU_BUDGET = Budget(images=2**24, tokens=2**22, logits=2**22)


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
) -> Result:
    r"""Sum of TaT losses over views of a pair of maps that share their projections.

    .. math:: L = \sum_v w_v \, \mathrm{mse}\big(
        \mathrm{softmax}(c_v \, \gamma(s_v) \theta(t_v)^T) \, \phi(s_v), \; t_v \big)

    with s_v, t_v the tokens of view v (the paper's L_TaT^P and L_TaT^A). The gradient is computed
    together with the value, so ``backward`` only hands it out: it can be called once, and there
    is no second derivative. ``t_feature`` receives no gradient.

    Args:
        s_feature: (B, C_s, H_s, W_s).
        t_feature: (B, C_t, H_t, W_t).
        gamma, phi: C_s -> D and C_s -> C_t.
        theta: C_t -> D.
        views: at least one.
        softmax_over: 'teacher', the paper's parametric equation read row by row and both released
            code bases (maps of one size), or 'student', its non-parametric equations.
        budget: memory against speed; None: what suits the device.

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
            _size_of_view(view, x)
    if budget is None:
        budget = CPU_BUDGET if s_feature.device.type == 'cpu' else GPU_BUDGET
    settings = _Settings((gamma, phi, theta), views, softmax_over, budget)
    inputs = (s_feature, *settings.parameters())
    with_gradients = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in inputs
    )
    with full_precision(s_feature):
        loss, values, *statistics = _LossWithGradients.apply(
            settings, with_gradients, t_feature, *inputs
        )
    return Result(loss, values, statistics)


class _Settings(NamedTuple):
    projections: tuple[Projection, Projection, Projection]
    views: list[View]
    softmax_over: str
    budget: Budget

    def parameters(self) -> list[Optional[Tensor]]:
        """Weight, gain and bias of gamma, phi and theta: nine, some of them None."""
        return [x for q in self.projections for x in (q.weight, q.gain, q.bias)]


_keeps_gradients = False


@contextlib.contextmanager
def repeatable_backward() -> Iterator[None]:
    """Losses computed inside can be differentiated more than once, with ``retain_graph=True``.

    Their gradients are then kept until the graph is freed: another copy of the student's map.
    """
    global _keeps_gradients
    before, _keeps_gradients = _keeps_gradients, True
    try:
        yield
    finally:
        _keeps_gradients = before


class _LossWithGradients(torch.autograd.Function):
    """Computes the gradients in ``forward`` and hands them out in ``backward``."""

    @staticmethod
    def forward(ctx, settings, with_gradients, t_feature, s_feature, *parameters):
        values, statistics, ctx.gradients = _loss_and_gradients(
            s_feature, t_feature, settings, with_gradients
        )
        ctx.keeps_gradients = _keeps_gradients
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
        if ctx.keeps_gradients:
            gradients = [None if x is None else x.clone() for x in ctx.gradients]
        else:
            gradients, ctx.gradients = ctx.gradients, None
        # The rounding to the dtype of the input comes last, after a loss scale has been applied.
        gradients = [
            None if x is None else x.mul_(dloss).to(dtype)
            for x, dtype in zip(gradients, ctx.dtypes)
        ]
        return None, None, None, *gradients


class _Maps(NamedTuple):
    """The affine maps of centred tokens, of each image (b of them) or, b = 1, of all."""

    logit: Tensor  # M, (b, C_s, C_t)
    # c. Its product with a token is the bias of that token's column in the softmax: a student's,
    # (b, C_s), where the softmax runs over the student's positions, else a teacher's, (b, C_t).
    logit_bias: Tensor
    value: Tensor  # A_phi, (b, C_t, C_s)
    value_bias: Tensor  # (b, C_t), less the mean of the target


class _Team(NamedTuple):
    """Chunks of images with the same statistics."""

    chunks: list[slice]
    per_image: bool  # each image has its own; there is one chunk then


class _Block(NamedTuple):
    """Tokens of both maps, and where the student's gradient goes: (b, G, N, p*C)."""

    s: Tensor
    t: Tensor
    ds: Optional[Tensor]
    finish: Callable[[], None]  # adds ``ds`` to the gradient of the map


def _loss_and_gradients(
    s: Tensor, t: Tensor, settings: _Settings, with_gradients: bool
) -> tuple[Tensor, list[Tensor], Optional[list[Optional[Tensor]]]]:
    """The views' values, the batch norms' statistics, the gradients of s and all parameters."""
    gamma, phi, theta = settings.projections
    parameters = settings.parameters()
    dtype = torch.float32
    for x in (s, t, *(x for x in parameters if x is not None)):
        dtype = torch.promote_types(dtype, x.dtype)
    weights = [
        view.weight / (t.shape[:2].numel() * math.prod(_size_of_view(view, t)))
        for view in settings.views
    ]
    values = torch.zeros(len(weights), dtype=dtype, device=s.device)
    ds = torch.zeros(s.shape, dtype=dtype, device=s.device) if with_gradients else None
    dparameters = [None if x is None else torch.zeros_like(x, dtype=dtype) for x in parameters]

    for team in _teams(s, t, settings):
        block = settings.budget.tokens // s.shape[1]
        student, teacher = (_Side(x, team, dtype, block) for x in (s, t))
        t_cov = teacher.covariance() if theta.is_measured else None
        s_cov = student.covariance() if gamma.is_measured or phi.is_measured else None
        # From these leaves to the maps autograd keeps the books: all of it small matrices.
        leaves = [
            None if x is None else x.detach().to(dtype).requires_grad_(with_gradients)
            for x in (*parameters, student.mean, s_cov)
        ]
        with torch.set_grad_enabled(with_gradients):
            graph, statistics = _fold(settings, leaves, teacher.mean, t_cov)
        maps = _Maps(*(x.detach() for x in graph))
        dmaps = _Maps(*(torch.zeros_like(x) for x in maps)) if with_gradients else None

        for chunk in team.chunks:
            dsc = ds[chunk] if with_gradients else None
            for k, (view, weight) in enumerate(zip(settings.views, weights)):
                for block in _blocks(view, student, teacher, chunk, dsc):
                    squares = _attend(block, maps, dmaps, weight, view.scale, settings)
                    values[k] += weight * squares

        if with_gradients:
            dleaves = _gradients(graph, leaves, dmaps)
            for total, part in zip(dparameters, dleaves):
                if total is not None:
                    total += part
            if s_cov is not None:
                _add_gradient_of_moments(ds, student, *dleaves[-2:])
    return values, statistics, [ds, *dparameters] if with_gradients else None


def _teams(s: Tensor, t: Tensor, settings: _Settings) -> list[_Team]:
    norms = {q.norm for q in settings.projections}
    if {'image', 'batch'} <= norms:
        raise ValueError("projections with norm='image' and with norm='batch' cannot be mixed")
    size = max(1, settings.budget.images // max(s[0].numel(), t[0].numel()))
    chunks = [slice(k, k + size) for k in range(0, s.shape[0], size)]
    if 'image' in norms:
        return [_Team([chunk], per_image=True) for chunk in chunks]
    return [_Team(chunks, per_image=False)]


class _Side:
    """The student's or the teacher's map, centred a few rows at a time, in the cache.

    Args:
        x: (B, C, H, W).
        team: the images that are looked at.
        dtype: the precision of the arithmetic.
        block: positions of a block of rows, about.

    Attributes:
        mean: over the positions of each image (b, C) or, b = 1, of all images together.
        positions: how many the mean is over.
    """

    def __init__(self, x: Tensor, team: _Team, dtype: torch.dtype, block: int) -> None:
        self.x, self.team, self.block = x, team, block
        if team.per_image:
            self.mean = x[team.chunks[0]].mean((2, 3), dtype=dtype)
            self.positions = x[0, 0].numel()
        else:
            self.mean = x.mean((0, 2, 3), dtype=dtype).unsqueeze(0)
            self.positions = x[:, 0].numel()

    def centred(self, chunk: slice, rows: slice = slice(None)) -> Tensor:
        """x - mean of some rows of the map, contiguous: (b, C, rows, W)."""
        return torch.sub(self.x[chunk, :, rows], self.mean[:, :, None, None]).contiguous()

    def pooled(self, chunk: slice, kernel: int) -> Tensor:
        """Average-pooled and centred, (b, C, H//k, W//k)."""
        # F.avg_pool2d alone takes half as long again on a CPU: whole rows add faster.
        rows = self.x[chunk, :, : self.x.shape[2] // kernel * kernel].to(self.mean.dtype)
        rows = functools.reduce(torch.add, rows.unflatten(2, (-1, kernel)).unbind(3))
        return F.avg_pool2d(rows, (1, kernel)).div_(kernel).sub_(self.mean[:, :, None, None])

    def row_blocks(
        self, chunk: slice, multiple: int = 1, within: Optional[int] = None
    ) -> list[slice]:
        """Blocks of the map's rows, or of its first ``within``; each a ``multiple`` of rows."""
        height = self.x.shape[2] if within is None else within
        row = self.x[chunk, 0, 0].numel()
        step = multiple * max(1, self.block // (multiple * row))
        return [slice(k, min(k + step, height)) for k in range(0, height, step)]

    def covariance(self) -> Tensor:
        """Biased, (b, C, C). Of centred values: E[x^2] - E[x]^2 cancels where |mean| >> std."""
        batch, channels = len(self.mean), self.x.shape[1]
        cov = self.mean.new_zeros(batch, channels, channels)
        for chunk in self.team.chunks:
            for rows in self.row_blocks(chunk):
                _add_gram(cov, self.centred(chunk, rows))
        return _mirrored(cov).div_(self.positions)


def _add_gram(gram: Tensor, x: Tensor) -> None:
    """Add the sum of x x^T over the positions of a map (b, C, H, W) to ``gram``, (b or 1, C, C).

    By blocks of columns, the lower ones only: 5/8 of the work of the whole product.
    """
    x = x.flatten(2)  # (b, C, N)
    width = _gram_width(x.shape[1])
    for k in range(0, x.shape[1], width):
        columns, target = (x[:, k:], x[:, k : k + width].mT), gram[:, k:, k : k + width]
        if len(gram) == len(x):
            target.baddbmm_(*columns)
        else:
            target += torch.bmm(*columns).sum(0, keepdim=True)


def _mirrored(gram: Tensor) -> Tensor:
    """Fill in what ``_add_gram`` leaves out."""
    width = _gram_width(gram.shape[1])
    for k in range(0, gram.shape[1], width):
        gram[:, k : k + width, k + width :] = gram[:, k + width :, k : k + width].mT
    return gram


def _gram_width(channels: int) -> int:
    return max(64, -(-channels // 4))


def _fold(
    settings: _Settings, leaves: list[Optional[Tensor]], t_mean: Tensor, t_cov: Optional[Tensor]
) -> tuple[_Maps, list[Tensor]]:
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
    maps = _Maps(a_gamma.mT @ a_theta, logit_bias, a_phi, b_phi - t_mean)
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


def _size_of_view(view: View, x: Tensor) -> tuple[int, int]:
    """(H', W'), what a view keeps of a map; ValueError where it does not fit."""
    if isinstance(view, AnchorPointView):
        check_kernel(view.kernel)
        return anchor_size(x, view.kernel)
    check_groups(view.grid, view.groups)
    (n, m), (h, w) = view.grid, patch_size(x, view.grid)
    return n * h, m * w


def _blocks(
    view: View, student: _Side, teacher: _Side, chunk: slice, ds: Optional[Tensor]
) -> Iterator[_Block]:
    """The tokens of a view, in blocks that need nothing of each other.

    Args:
        chunk: the images.
        ds: the gradient of their student maps, which ``finish`` adds to; None: no gradient.
    """
    if isinstance(view, PatchGroupView):
        yield from _patch_group_blocks(view, student, teacher, chunk, ds)
    elif view.kernel == 1:  # the tokens are the map itself, and so is their gradient
        s, t = whole_map(student.centred(chunk)), whole_map(teacher.centred(chunk))
        yield _Block(s, t, None if ds is None else whole_map(ds), _nothing)
    else:
        yield _anchor_point_block(view.kernel, student, teacher, chunk, ds)


def _nothing() -> None:
    pass


def _anchor_point_block(
    k: int, student: _Side, teacher: _Side, chunk: slice, ds: Optional[Tensor]
) -> _Block:
    pooled = student.pooled(chunk, k)
    dpooled = None if ds is None else torch.zeros_like(pooled)

    def finish() -> None:
        h, w = pooled.shape[2:]
        windows = ds[:, :, : h * k, : w * k].unflatten(3, (w, k)).unflatten(2, (h, k))
        windows += (dpooled / k**2)[:, :, :, None, :, None]  # (b, C, h, k, w, k)

    return _Block(
        whole_map(pooled),
        whole_map(teacher.pooled(chunk, k)),
        None if ds is None else whole_map(dpooled),
        finish,
    )


def _patch_group_blocks(
    view: PatchGroupView, student: _Side, teacher: _Side, chunk: slice, ds: Optional[Tensor]
) -> Iterator[_Block]:
    """Blocks of whole rows of patches that hold whole groups."""
    n, m = view.grid
    p = n * m // view.groups
    (h, w), (t_height, _) = (patch_size(side.x, view.grid) for side in (student, teacher))
    least = p // math.gcd(p, m)  # rows of patches that hold whole groups
    for s_rows in student.row_blocks(chunk, multiple=least * h, within=n * h):
        first, last = s_rows.start // h, s_rows.stop // h
        grid, groups = (last - first, m), (last - first) * m // p
        t_rows = slice(first * t_height, last * t_height)
        tokens = patch_groups(student.centred(chunk, s_rows), grid, groups)  # (b, G, h*w, p*C)
        dtokens = None if ds is None else tokens.new_zeros(tokens.shape)

        def finish(s_rows=s_rows, grid=grid, dtokens=dtokens) -> None:
            patches = dtokens.unflatten(3, (p, -1)).transpose(2, 3)  # (b, G, p, h*w, C)
            patches = patches.reshape(len(ds), *grid, h, w, -1)
            target = ds[:, :, s_rows, : m * w].unflatten(3, (m, w)).unflatten(2, (grid[0], h))
            target += patches.permute(0, 5, 1, 3, 2, 4)  # (b, C, rows, h, m, w)

        t_tokens = patch_groups(teacher.centred(chunk, t_rows), grid, groups)
        yield _Block(tokens, t_tokens, dtokens, finish)


def _attend(
    block: _Block,
    maps: _Maps,
    dmaps: Optional[_Maps],
    weight: float,
    scale: Union[float, str],
    settings: _Settings,
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
        torch.softmax(logits, -1, out=weights)
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
        maps: _Maps,
        dmaps: _Maps,
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
        images: b. K is b*G.
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


def _gradients(
    graph: _Maps, leaves: list[Optional[Tensor]], dmaps: _Maps
) -> list[Optional[Tensor]]:
    """The leaves' gradients; zeros where the loss does not depend on one (DDP wants them)."""
    present = [x for x in leaves if x is not None]
    learnt = [(x, dx) for x, dx in zip(graph, dmaps) if x.requires_grad]  # an identity is not
    if not learnt:
        return [None if x is None else torch.zeros_like(x) for x in leaves]
    outputs, doutputs = zip(*learnt)
    found = iter(torch.autograd.grad(outputs, present, doutputs, materialize_grads=True))
    return [None if x is None else next(found) for x in leaves]


def _add_gradient_of_moments(ds: Tensor, student: _Side, dmean: Tensor, dcov: Tensor) -> None:
    """What reaches s through the mean and the covariance that the norms measured.

    The tokens are x - mean: of the gradient found so far, its mean has to go as well.
    """
    team, positions = student.team, student.positions
    own, dims = (ds[team.chunks[0]], (2, 3)) if team.per_image else (ds, (0, 2, 3))
    shift = dmean / positions - own.mean(dims).view_as(dmean)
    dcov = (dcov + dcov.mT) / positions
    for chunk in team.chunks:
        for rows in student.row_blocks(chunk):
            x = student.centred(chunk, rows).flatten(2)  # (b, C, N)
            d = ds[chunk, :, rows].view(x.shape)
            d += shift.unsqueeze(2)
            d.baddbmm_(dcov.expand(len(x), -1, -1), x)
