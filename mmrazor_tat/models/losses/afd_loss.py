r"""Attention-based feature distillation: every stage of the teacher chooses what to teach."""

import math
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor, nn

from .base import DistillLoss, check_count, check_map


@MODELS.register_module()
class AFDLoss(DistillLoss):
    r"""Show, attend and distill (Ji et al., AAAI 2021); the TaT paper calls it SAD.

    .. math:: L = w \frac{1}{B} \sum_b \sum_t \sum_s \alpha_{b,t,s} \frac{1}{N_t}
        \big\| \psi(h^t_b) - \psi(\hat h^s_b) \big\|_2^2, \quad
        \alpha_{b,t,\cdot} = \mathrm{softmax}_s \Big(
        \frac{q_{b,t}^T W_t k_{b,s} + p_t^T p_s}{\sqrt d} \Big)

    psi is the mean square over the channels at each of the N_t positions, as a
    vector of length 1; the student's are average-pooled to the teacher's size. A query comes from
    the teacher's mean over the positions by a linear layer and batch norm, a key likewise with a
    ReLU; W_t is a linear layer with batch norm for all t together, p_t and p_s are learnt.

    Args:
        s_channels, t_channels: widths of the stages. None: :class:`FrozenTeacherDistill` reads
            them.
        dim: d, 128 in the paper.
        loss_weight: w, at least 0. The authors use 200 on CIFAR-100.
    """

    def __init__(
        self,
        s_channels: Optional[Sequence[int]] = None,
        t_channels: Optional[Sequence[int]] = None,
        dim: int = 128,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        check_count('dim', dim)
        self.dim = dim
        self.s_channels: Optional[tuple[int, ...]] = None
        self.t_channels: Optional[tuple[int, ...]] = None
        if s_channels is not None and t_channels is not None:
            self.set_channels(s_channels, t_channels)

    @property
    def has_channels(self) -> bool:
        """Whether the layers have been made."""
        return self.s_channels is not None

    def set_channels(self, s_channels: Sequence[int], t_channels: Sequence[int]) -> None:
        """Make the layers for the widths of the stages."""
        self.s_channels, self.t_channels = tuple(s_channels), tuple(t_channels)
        d, count = self.dim, len(self.t_channels)
        self.queries = nn.ModuleList(_linear_norm(width, d) for width in self.t_channels)
        self.keys = nn.ModuleList(
            nn.Sequential(_linear_norm(width, d), nn.ReLU()) for width in self.s_channels
        )
        self.bilinear = _linear_norm(d, d * count)
        self.t_place = nn.Parameter(nn.init.xavier_normal_(torch.empty(count, d)))
        self.s_place = nn.Parameter(nn.init.xavier_normal_(torch.empty(len(self.s_channels), d)))

    def forward(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """The loss of a batch.

        Args:
            s_features: stages of the student, (B, C_k, H_k, W_k) each.
            t_features: stages of the teacher, any number.

        Returns:
            A scalar in float32, or float64 where an input is.
        """
        return self.of_levels(s_features, t_features)

    def compare(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> Tensor:
        distances = torch.stack([self._distances(s, x) for x in t], 1)  # (B, T, S)
        return (self.attention(s, t) * distances).sum((1, 2)).mean()

    def attention(self, s_features: Sequence[Tensor], t_features: Sequence[Tensor]) -> Tensor:
        """alpha: how much each stage of the teacher teaches each of the student, (B, T, S); a row
        sums to 1."""
        queries, keys = (
            torch.stack([layer(x.mean((2, 3))) for layer, x in zip(layers, features)], 1)
            for layers, features in ((self.queries, t_features), (self.keys, s_features))
        )  # (B, T, d), (B, S, d)
        batch, stages = keys.shape[:2]
        keys = self.bilinear(keys.flatten(0, 1)).view(batch, stages, len(t_features), self.dim)
        logits = torch.einsum('bstd,btd->bts', keys, queries) + self.t_place @ self.s_place.mT
        return (logits / math.sqrt(self.dim)).softmax(2)

    @staticmethod
    def _distances(s_features: Sequence[Tensor], t: Tensor) -> Tensor:
        """Of each stage of the student to one of the teacher: (B, S)."""
        target = _energy(t, t.shape[2:])
        return torch.stack(
            [(_energy(s, t.shape[2:]) - target).square().mean(1) for s in s_features], 1
        )

    def check(self, s: Sequence[Tensor], t: Sequence[Tensor]) -> None:
        if not self.has_channels:
            raise RuntimeError(
                'AFDLoss has no channels yet: give s_channels and t_channels, or build it inside '
                'FrozenTeacherDistill, which reads them from the models'
            )
        for name, features, widths in (
            ('s_features', s, self.s_channels),
            ('t_features', t, self.t_channels),
        ):
            for k, x in enumerate(features):
                check_map(f'{name}[{k}]', x)
            found = tuple(x.shape[1] for x in features)
            if found != widths:
                raise ValueError(f'{name} have the widths {found}, AFDLoss was made for {widths}')


def _linear_norm(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, width), nn.BatchNorm1d(width))


def _energy(x: Tensor, size: Sequence[int]) -> Tensor:
    """psi: (B, C, H, W) -> (B, N), of length 1."""
    energy = F.adaptive_avg_pool2d(x.square().mean(1, keepdim=True), size)
    return F.normalize(energy.flatten(1), dim=1)
