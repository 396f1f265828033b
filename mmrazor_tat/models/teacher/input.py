"""The student's input as the teacher is used to it, and the statistics that its norms take."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...utils.errors import UserError


class Normalization(NamedTuple):
    """What a data preprocessor does to the values of an image."""

    swaps: bool  # the channels are reversed first (BGR to RGB or back)
    mean: Optional[Tensor]  # (C, 1, 1), in the order after that; None: nothing is taken off
    std: Optional[Tensor]
    pad: float  # the value of what is padded, after the normalization

    def listed(self) -> list:
        """To be compared; it waits for a GPU."""
        return [x.tolist() if isinstance(x, Tensor) else x for x in self]


class TeacherInput(nn.Module):
    """Turn a batch that the student's data preprocessor made into one for the teacher.

    Both networks see the same crop with the same augmentations; mean, std, channel order and
    padding become those of the teacher's own ``data_preprocessor``. Where the two agree, or the
    teacher has none, the batch goes through as it is.

    Args:
        student: its data preprocessor: mmseg's, mmpretrain's, mmdet's or mmengine's.
        teacher: the teacher's; None for the student's.
    """

    def __init__(self, student: nn.Module, teacher: Optional[nn.Module]) -> None:
        super().__init__()
        self.source, self.target = normalization(student), normalization(teacher)

    @functools.cached_property
    def changes(self) -> bool:
        """Whether the teacher sees anything else than the student. Read with the first batch."""
        both = self.source, self.target
        return None not in both and both[0].listed() != both[1].listed()

    def forward(self, inputs: Tensor, data_samples: Optional[list] = None) -> Tensor:
        """(B, C, H, W) for the student -> the same for the teacher; what lies outside of a sample's
        ``img_shape`` is padding."""
        if not self.changes:
            return inputs
        source, target = self.source, self.target
        x = inputs.clone()
        if source.std is not None:
            x = x * source.std.to(x) + source.mean.to(x)
        if source.swaps != target.swaps:
            x = x.flip(1)
        if target.std is not None:
            x = (x - target.mean.to(x)) / target.std.to(x)
        for image, sample in zip(x, data_samples or ()):
            height, width = tuple(getattr(sample, 'img_shape', image.shape[1:]))[:2]
            image[:, height:] = target.pad
            image[:, :, width:] = target.pad
        return x


def normalization(preprocessor: Any) -> Optional[Normalization]:
    """How ``preprocessor`` normalizes; None if it is none of images."""
    if type(preprocessor) is BaseDataPreprocessor:  # images as they are read
        return Normalization(False, None, None, 0.0)
    if not hasattr(preprocessor, '_enable_normalize'):
        return None
    mean = std = None
    if preprocessor._enable_normalize:
        mean, std = (getattr(preprocessor, name).reshape(-1, 1, 1) for name in ('mean', 'std'))
    names = ('channel_conversion', '_channel_conversion', 'to_rgb')
    swaps = any(getattr(preprocessor, name, False) for name in names)
    pad = getattr(preprocessor, 'pad_val', getattr(preprocessor, 'pad_value', 0))
    return Normalization(swaps, mean, std, float(pad))


@contextlib.contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms normalize by the batch, and their running statistics stay.

    Raises:
        UserError: a batch norm finds a single value to normalize.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    except ValueError as error:
        if 'more than 1 value' not in str(error):  # torch's
            raise
        raise UserError(
            f"teacher_mode='bn_train': a batch norm of the teacher has a single value ({error}): "
            "take at least 2 images for each process, or teacher_mode='eval'"
        ) from error
    finally:
        for norm, (training, tracks) in zip(norms, before):
            norm.training, norm.track_running_stats = training, tracks
