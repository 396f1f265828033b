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

from .loss import Result, hierarchical_tat
from .settings import (
    CPU_BUDGET,
    GPU_BUDGET,
    AnchorPointView,
    Budget,
    PatchGroupView,
    Projection,
    View,
)

__all__ = [
    'CPU_BUDGET',
    'GPU_BUDGET',
    'AnchorPointView',
    'Budget',
    'PatchGroupView',
    'Projection',
    'Result',
    'View',
    'hierarchical_tat',
]
