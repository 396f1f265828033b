r"""Target-aware transformer losses ("Knowledge Distillation via the Target-aware Transformer").

The three losses are one view each and differ in one step: how a map becomes tokens. Recipes use
:class:`HierarchicalTaTLoss`, which has several of them behind one set of projections.
"""

import math
from typing import Union

from mmrazor.registry import MODELS
from torch import Tensor, nn

from ... import functional
from .base import check_weight


@MODELS.register_module()
class TaTLoss(nn.Module):
    r"""One-to-all distillation over the whole map.

    .. math:: L = w \cdot \mathrm{mse}\big(
        \mathrm{softmax}(c \, \gamma(f^s) \theta(f^t)^T) \, \phi(f^s), \; f^t \big)

    gamma, phi (student) and theta (teacher) are connectors of the distiller; a record without one
    is used as it is (the paper's non-parametric form).

    Args:
        loss_weight: w, at least 0; applied once, at the return.
        softmax_over: 'teacher', the paper's parametric equation read row by row and both released
            code bases (maps of one size), or 'student', its non-parametric equations; see
            :func:`mmrazor_tat.functional.target_aware_attention`.
        scale: c, or 'auto': 1 / sqrt(width of the view's tokens). The paper and its code have 1.

    Raises:
        ValueError: at once for a setting out of range; in ``forward`` for maps that do not fit, or
            that leave a softmax one position only.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        softmax_over: str = 'teacher',
        scale: Union[float, str] = 'auto',
    ) -> None:
        super().__init__()
        functional.check_direction(softmax_over)
        check_weight('loss_weight', loss_weight)
        if isinstance(scale, str):
            functional.scale_of(scale, 1)  # refuses any word but 'auto'
        else:
            check_weight('scale', scale)
        self.loss_weight, self.softmax_over, self.scale = loss_weight, softmax_over, scale

    def tokens(self, x: Tensor) -> Tensor:
        """A map as tokens: (B, C, H, W) -> (B, G, N, D)."""
        return functional.whole_map(x)

    def positions(self, x: Tensor) -> int:
        """N, the positions of a map (B, C, H, W) in this view; ValueError if it does not fit."""
        return x.shape[-2] * x.shape[-1]

    def check_maps(self, s_map: Tensor, t_map: Tensor) -> None:
        """Raise ValueError for maps that the view does not fit, or leaves one position only."""
        s_positions, t_positions = self.positions(s_map), self.positions(t_map)
        of_student = self.softmax_over == 'student'
        positions, x = (s_positions, s_map) if of_student else (t_positions, t_map)
        if positions == 1:
            raise ValueError(
                f'{self!r} leaves one position of a map of {x.shape[-2]} x {x.shape[-1]} to its '
                'softmax, which is then constant: gamma and theta would learn nothing. Take a '
                'coarser grid, a smaller kernel or a larger crop'
            )

    def forward(self, s_key: Tensor, s_value: Tensor, t_query: Tensor, t_feature: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            s_key: gamma(F^S), (B, D, H_s, W_s).
            s_value: phi(F^S), (B, C_t, H_s, W_s).
            t_query: theta(F^T), (B, D, H_t, W_t).
            t_feature: F^T, (B, C_t, H_t, W_t), the target; no gradient flows into it.

        Returns:
            A scalar.
        """
        _check_width('s_key', s_key, 't_query', t_query)
        _check_width('s_value', s_value, 't_feature', t_feature)
        self.check_maps(s_key, t_query)
        loss = functional.tat_loss(
            self.tokens(s_key),
            self.tokens(s_value),
            self.tokens(t_query),
            self.tokens(t_feature.detach()),  # theta learns through t_query; the target is fixed
            softmax_over=self.softmax_over,
            scale=self.scale,
        )
        return self.loss_weight * loss

    def extra_repr(self) -> str:
        return (
            f'loss_weight={self.loss_weight}, softmax_over={self.softmax_over!r}, '
            f'scale={self.scale!r}'
        )


def _check_width(student: str, s_map: Tensor, teacher: str, t_map: Tensor) -> None:
    """Raise ValueError unless the two maps have the same channels: here, not of their tokens."""
    if s_map.shape[1] != t_map.shape[1]:
        raise ValueError(
            f'{student} has {s_map.shape[1]} channels, {teacher} has {t_map.shape[1]}: give '
            f'{student} a connector with out_channel={t_map.shape[1]} (a TaTConnector with '
            'out_channel=None takes the width of the teacher)'
        )


@MODELS.register_module()
class PatchGroupTaTLoss(TaTLoss):
    """TaT within groups of patches: local features and the pattern between the group's patches.

    Args:
        grid: (n, m), patches along the height and the width of the map.
        groups: g, a divisor of n*m; the n*m/g consecutive patches of a group are joined along the
            channels. See :func:`mmrazor_tat.functional.patch_groups`.
        **kwargs: see :class:`TaTLoss`.
    """

    def __init__(self, grid: tuple[int, int], groups: int, **kwargs) -> None:
        super().__init__(**kwargs)
        functional.check_groups(grid, groups)
        self.grid = tuple(grid)
        self.groups = groups

    def tokens(self, x: Tensor) -> Tensor:
        return functional.patch_groups(x, self.grid, self.groups)

    def positions(self, x: Tensor) -> int:
        return math.prod(functional.patch_size(x, self.grid))

    def extra_repr(self) -> str:
        return f'grid={self.grid}, groups={self.groups}, {super().extra_repr()}'


@MODELS.register_module()
class AnchorPointTaTLoss(TaTLoss):
    """TaT between average-pooled positions: a coarse global dependency.

    Args:
        kernel: k, side and stride of the pooling window in feature pixels. See
            :func:`mmrazor_tat.functional.anchor_points`.
        **kwargs: see :class:`TaTLoss`.
    """

    def __init__(self, kernel: int, **kwargs) -> None:
        super().__init__(**kwargs)
        functional.check_kernel(kernel)
        self.kernel = kernel

    def tokens(self, x: Tensor) -> Tensor:
        return functional.anchor_points(x, self.kernel)

    def positions(self, x: Tensor) -> int:
        return math.prod(functional.anchor_size(x, self.kernel))

    def extra_repr(self) -> str:
        return f'kernel={self.kernel}, {super().extra_repr()}'
