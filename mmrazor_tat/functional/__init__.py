r"""The maths of TaT as pure functions of tensors.

Source: "Knowledge Distillation via the Target-aware Transformer", Lin et al., CVPR 2022.

Two kinds of shape occur: a *map* is (B, C, H, W), *tokens* are (B, G, N, D): a batch of B images,
G independent groups, N positions, D channels.
"""

from .attention import attention_weights, target_aware_attention, tat_loss
from .settings import (
    DIRECTIONS,
    at_least_float32,
    check_direction,
    check_pair,
    flush_tiny,
    full_precision,
    scale_of,
)
from .views import (
    anchor_points,
    anchor_size,
    check_groups,
    check_kernel,
    patch_groups,
    patch_size,
    whole_map,
)

__all__ = [
    'anchor_points',
    'anchor_size',
    'at_least_float32',
    'attention_weights',
    'check_direction',
    'check_groups',
    'check_kernel',
    'check_pair',
    'DIRECTIONS',
    'flush_tiny',
    'full_precision',
    'patch_groups',
    'patch_size',
    'scale_of',
    'target_aware_attention',
    'tat_loss',
    'whole_map',
]
