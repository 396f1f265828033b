r"""Distillation of the correlation between channels."""

import torch.nn.functional as F
from mmrazor.registry import MODELS
from torch import Tensor

from ... import functional
from .base import DistillLoss, check_same_shape


@MODELS.register_module()
class ICKDLoss(DistillLoss):
    r"""Inter-channel correlation ("Exploring Inter-Channel Correlation for Diversity-preserved
    Knowledge Distillation", Liu et al., ICCV 2021).

    .. math:: L = w \frac{1}{B\,nm\,C} \sum_{b,k} \big\| G(f^s_{b,k}) - G(f^t_{b,k}) \big\|_F^2,
        \quad G(f) = \mathrm{rows}\big( f f^T \big)

    f_{b,k} is (C, h*w), cell k of an n x m grid over the map; ``rows`` divides every row of the
    correlation (C, C) by its L2 norm, as the authors' code does (the paper writes no
    normalisation). ``grid=(1, 1)`` is the paper's loss for classification, a finer one its
    grid-level loss for segmentation. The authors project the student's feature to the teacher's
    width by a 1x1 convolution and a batch norm: a connector's work. Both maps have one shape.

    Args:
        grid: (n, m), cells along the height and the width; rows and columns that they do not fill
            are dropped.
        loss_weight: w, at least 0. The authors use 2.5.
    """

    def __init__(self, grid: tuple[int, int] = (1, 1), loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        functional.check_groups(grid, 1)
        self.grid = tuple(grid)

    def check(self, s: Tensor, t: Tensor) -> None:
        check_same_shape('s_feature', s, 't_feature', t)

    def compare(self, s: Tensor, t: Tensor) -> Tensor:
        difference = self._correlation(s) - self._correlation(t)  # (B, nm, C, C)
        return difference.square().sum() / difference.shape[:3].numel()

    def _correlation(self, x: Tensor) -> Tensor:
        cells = functional.patch_groups(x, self.grid, self.grid[0] * self.grid[1])
        return F.normalize(cells.mT @ cells, dim=-1)  # (B, nm, h*w, C) -> (B, nm, C, C)
