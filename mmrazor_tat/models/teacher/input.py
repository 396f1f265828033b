"""The student's input as the teacher is used to it, and the statistics that its norms take."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Normalization(NamedTuple):
    """What a data preprocessor does to the values of an image.

    Attributes:
        swaps: the channels are reversed first (BGR to RGB or back).
        mean, std: (C, 1, 1), in the order after that; None: nothing is taken off.
        pad: the value of what is padded, after the normalization.
    """

    swaps: bool
    mean: Optional[Tensor]
    std: Optional[Tensor]
    pad: float


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
        self.source = normalization(student)
        self.target = normalization(teacher)

    @functools.cached_property
    def changes(self) -> bool:
        """Whether the teacher sees anything else than the student. Read with the first batch."""
        both = self.source, self.target
        return None not in both and not _same(*both)

    def forward(self, inputs: Tensor, data_samples: Optional[list] = None) -> Tensor:
        """(B, C, H, W) for the student -> (B, C, H, W) for the teacher.

        Args:
            inputs: the batch.
            data_samples: where they have an ``img_shape``, what lies outside it is padding.
        """
        if not self.changes:
            return inputs
        source, target = self.source, self.target
        x = inputs
        if source.std is not None:
            x = x * source.std.to(x) + source.mean.to(x)
        if source.swaps != target.swaps:
            x = x.flip(1)
        if target.std is not None:
            x = (x - target.mean.to(x)) / target.std.to(x)
        if x is inputs:
            x = x.clone()
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
    swaps = any(
        getattr(preprocessor, name, False)
        for name in ('channel_conversion', '_channel_conversion', 'to_rgb')
    )
    pad = getattr(preprocessor, 'pad_val', getattr(preprocessor, 'pad_value', 0))
    return Normalization(swaps, mean, std, float(pad))


def _same(a: Normalization, b: Normalization) -> bool:
    def equal(x: Optional[Tensor], y: Optional[Tensor]) -> bool:
        return (x is None) == (y is None) and (x is None or torch.equal(x, y))

    return (a.swaps, a.pad) == (b.swaps, b.pad) and equal(a.mean, b.mean) and equal(a.std, b.std)


@contextlib.contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms normalize by the batch, and their running statistics stay."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(norms, before):
            norm.training, norm.track_running_stats = training, tracks
