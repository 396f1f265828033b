"""What the losses compare that relate the images of a batch to each other."""

from torch import Tensor

from ...functional import at_least_float32
from .checks import check_same_batch


def image_vectors(s_feature: Tensor, t_feature: Tensor) -> list[Tensor]:
    """Features as a vector for each image.

    Args:
        s_feature: (B, ...), of the student.
        t_feature: (B, ...), of the teacher; no gradient flows into it.

    Returns:
        (B, D_s) and (B, D_t), in float32, or float64 where an input is.

    Raises:
        ValueError: another number of images, or one.
    """
    check_same_batch('s_feature', s_feature, 't_feature', t_feature)
    return at_least_float32(s_feature.flatten(1), t_feature.detach().flatten(1))
