r"""All views of TaT in one loss that owns the projections, on the lean operator."""

from collections.abc import Sequence
from typing import Optional, Union

from mmrazor.registry import MODELS
from torch import Tensor, nn

from ... import ops
from ...functional import check_pair
from ..connectors import TaTConnector
from .base import check_weight
from .hierarchical_parts import build_views, lean_projection, lean_view

# Of the student, whose width the lean operator works in. Below, its small C x C matrices cost more
# than the maps that they spare (measured on a CPU, docs/method/operator.md).
_POSITIONS_PER_CHANNEL = 8
_PROJECTIONS = ('gamma', 'phi', 'theta')
# The paper's for ResNet-18 on Pascal VOC.
_DEFAULT_VIEWS = (
    dict(type='patch', grid=(16, 16), groups=64, weight=0.1),
    dict(type='anchor', kernel=4, weight=0.04),
)


@MODELS.register_module()
class HierarchicalTaTLoss(nn.Module):
    r"""The sum of TaT losses over several views of a pair of maps, with shared projections.

    .. math:: L = w \sum_v w_v \, \mathrm{mse}\big(
        \mathrm{softmax}(c_v \, \gamma(s_v) \theta(t_v)^T) \, \phi(s_v), \; t_v \big)

    where s_v, t_v are the tokens of view v; patch-group and anchor-point make the paper's
    delta L_TaT^P + zeta L_TaT^A. Value and gradients are those of the losses of the views behind
    three :class:`TaTConnector`, to rounding; :mod:`mmrazor_tat.ops` computes them in a fraction of
    the time and memory. The gradient is made in the forward pass: it can be taken once.

    Args:
        in_channel, out_channel: C_s and C_t, channels of the student's and the teacher's map. None:
            :class:`FrozenTeacherDistill` reads them from the models.
        views: a dict each, with ``type`` and the arguments of the view: 'patch' (``grid``,
            ``groups``), 'anchor' (``kernel``) or 'whole'; ``weight`` (w_v, default 1);
            ``scale`` (c_v, default ``scale``); ``name``, the name in the logs (default: the type).
        projections: which of 'gamma', 'phi' and 'theta' are learnt; the others are the identity
            (without gamma or phi the maps need the same width). The paper's ablation has
            ('gamma', 'phi') ahead on ImageNet.
        kernel_size, norm_cfg: of the projections, see :class:`TaTConnector`.
        loss_weight: w.
        softmax_over, scale: c of every view; see :class:`TaTLoss`.
        lean: True computes by the lean operator, False by the composed form, the readable
            reference; 'auto' by the lean operator where it pays: on maps of at least eight times
            as many positions (of an image; with batch norm or none, of the batch) as the
            student's has channels.
            What the operator does not cover is composed in any case: a kernel above 1, norms
            other than instance norm and (not synchronised) batch norm.

    Raises:
        ValueError: a setting out of range; in ``forward`` maps that do not fit.
    """

    takes_half_precision = True  # such maps are its own to convert, a block at a time

    def __init__(
        self,
        in_channel: Optional[int] = None,
        out_channel: Optional[int] = None,
        views: Sequence[dict] = _DEFAULT_VIEWS,
        projections: Sequence[str] = _PROJECTIONS,
        kernel_size: int = 1,
        norm_cfg: Optional[dict] = dict(type='IN', affine=True),  # noqa: B006, B008 (read only)
        loss_weight: float = 1.0,
        softmax_over: str = 'teacher',
        scale: Union[float, str] = 'auto',
        lean: Union[bool, str] = 'auto',
    ) -> None:
        super().__init__()
        check_weight('loss_weight', loss_weight)
        if lean not in (True, False, 'auto'):
            raise ValueError(f"lean must be True, False or 'auto', got {lean!r}")
        unknown = set(projections) - set(_PROJECTIONS)
        if isinstance(projections, str) or unknown:
            raise ValueError(f'projections must be some of {_PROJECTIONS}, got {projections!r}')
        self.views = nn.ModuleDict(
            build_views(views, loss_weight, softmax_over=softmax_over, scale=scale)
        )
        for name in _PROJECTIONS:
            learnt = name in projections
            module = TaTConnector(None, None, kernel_size, norm_cfg) if learnt else nn.Identity()
            setattr(self, name, module)
        self.softmax_over = softmax_over
        self.scale = scale
        self.lean = lean
        self.in_channel = in_channel
        self.out_channel = out_channel
        self.logged_values: dict[str, Tensor] = {}  # of every view, weighted, detached
        self.repeatable_backward = False  # whether the next one can be differentiated twice
        if in_channel is not None and out_channel is not None:
            self.set_channels(in_channel, out_channel)

    @property
    def has_channels(self) -> bool:
        """Whether the projections have been made."""
        return None not in (self.in_channel, self.out_channel)

    def set_channels(self, in_channel: int, out_channel: int) -> None:
        """Make the projections for the channels of both maps; ValueError where they do not fit."""
        for name, who, given in (
            ('in_channel', 'student', in_channel),
            ('out_channel', 'teacher', out_channel),
        ):
            if getattr(self, name) not in (None, given):
                raise ValueError(
                    f"{name} is {getattr(self, name)}, the {who}'s map has {given} channels: "
                    f'set {name}={given} or leave it None'
                )
        for name, width in (('gamma', in_channel), ('phi', in_channel), ('theta', out_channel)):
            projection = getattr(self, name)
            if isinstance(projection, TaTConnector):
                projection.set_channels(width, out_channel)
            elif width != out_channel:
                raise ValueError(
                    f"projections leave {name} out, so the student's map needs the width of the "
                    f"teacher's: got {in_channel} and {out_channel} channels"
                )
        self.in_channel, self.out_channel = in_channel, out_channel

    def forward(self, s_feature: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_feature: F^S, (B, C_s, H_s, W_s).
            t_feature: F^T, (B, C_t, H_t, W_t); no gradient flows into it.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        self._check(s_feature, t_feature)
        t_feature = t_feature.detach()
        projections = self._lean_projections(s_feature, t_feature)
        if projections is None:
            values = self._composed(s_feature, t_feature)
            loss = sum(values)
        else:
            views = [lean_view(view) for view in self.views.values()]
            loss, values, statistics = ops.hierarchical_tat(
                s_feature,
                t_feature,
                *projections,
                views,
                softmax_over=self.softmax_over,
                repeatable=self.repeatable_backward,
            )
            self._update_running_statistics(projections, statistics, s_feature, t_feature)
        self.logged_values = {name: value.detach() for name, value in zip(self.views, values)}
        return loss

    def runs_lean(self, s_feature: Tensor, t_feature: Tensor) -> bool:
        """Whether maps of these shapes are computed by the lean operator."""
        return self._lean_projections(s_feature, t_feature) is not None

    def _composed(self, s_feature: Tensor, t_feature: Tensor) -> list[Tensor]:
        key, value = self.gamma(s_feature), self.phi(s_feature)
        query = self.theta(t_feature)
        return [view(key, value, query, t_feature) for view in self.views.values()]

    def _check(self, s_feature: Tensor, t_feature: Tensor) -> None:
        if not self.has_channels:
            raise RuntimeError(
                'HierarchicalTaTLoss has no channels yet: give in_channel and out_channel, or '
                'build it inside FrozenTeacherDistill, which reads them from the models'
            )
        for name, x, argument in (
            ('s_feature', s_feature, 'in_channel'),
            ('t_feature', t_feature, 'out_channel'),
        ):
            width = getattr(self, argument)
            if x.dim() != 4 or x.shape[1] != width:
                raise ValueError(
                    f'{name} has shape {tuple(x.shape)}, {argument}={width} needs a map '
                    f'(B, {width}, H, W)'
                )
        check_pair(s_feature, t_feature, self.softmax_over)
        for view in self.views.values():
            view.check_maps(s_feature, t_feature)

    def _lean_projections(
        self, s_feature: Tensor, t_feature: Tensor
    ) -> Optional[list[ops.Projection]]:
        """gamma, phi and theta as the lean operator takes them; None: compute the composed form."""
        if not self.lean:
            return None
        if min(x[0, 0].numel() for x in (s_feature, t_feature)) == 1:
            return None  # a norm may have nothing to measure: the composed one says so
        projections = [lean_projection(getattr(self, name)) for name in _PROJECTIONS]
        if None in projections:
            return None
        if self.lean == 'auto':
            of_image = any(projection.norm == 'image' for projection in projections)
            for x in (s_feature, t_feature):
                positions = (x[0, 0] if of_image else x[:, 0]).numel()
                if positions < _POSITIONS_PER_CHANNEL * self.in_channel:
                    return None
        return projections

    def _update_running_statistics(
        self,
        projections: list[ops.Projection],
        statistics: list[Tensor],
        s_feature: Tensor,
        t_feature: Tensor,
    ) -> None:
        """What a batch norm in training does besides normalising."""
        statistics = iter(statistics)
        for name, projection in zip(_PROJECTIONS, projections):
            if projection.norm != 'batch':
                continue
            mean, var = next(statistics), next(statistics)
            norm = getattr(self, name).norm
            if not norm.track_running_stats:
                continue
            x = t_feature if name == 'theta' else s_feature
            count = x[:, 0].numel()
            norm.num_batches_tracked += 1
            momentum = norm.momentum
            if momentum is None:  # a cumulative average
                momentum = 1 / norm.num_batches_tracked.item()
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
            unbiased = var * count / (count - 1)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)
