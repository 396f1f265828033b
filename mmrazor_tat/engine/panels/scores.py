"""mIoU of every image and of all images together, from one count."""

from dataclasses import dataclass

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from torch import Tensor


@dataclass(frozen=True)
class NetworkScores:
    """What one network reached on N images with C classes.

    Attributes:
        name, role: see :class:`.networks.Network`.
        intersection, union: (N, C) pixels of every image, those that are ignored left out.
    """

    name: str
    role: str
    intersection: np.ndarray
    union: np.ndarray

    @property
    def class_iou(self) -> np.ndarray:
        """(C,) per cent over all images together, as mmseg's ``IoUMetric``; NaN for a class that
        is in no label and no prediction."""
        return _iou(self.intersection.sum(0), self.union.sum(0))

    @property
    def miou(self) -> float:
        """Per cent, the mean of :attr:`class_iou`: mmseg's mIoU."""
        return _mean(self.class_iou)

    @property
    def image_miou(self) -> np.ndarray:
        """(N,) per cent: of each image the mean over the classes in its label or its prediction;
        NaN for an image that is ignored altogether."""
        return np.array([_mean(row) for row in _iou(self.intersection, self.union)])


def count_pixels(
    prediction: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of one image, (C,) pixels each.

    Args:
        prediction, label: (H, W) class ids.
        num_classes: C.
        ignore_index: the label of pixels that do not count.
    """
    intersection, union, *_ = IoUMetric.intersect_and_union(
        prediction.cpu(), label.cpu().to(torch.int64), num_classes, ignore_index
    )
    # mmseg's are float32, whole below 2^24 pixels: whole numbers stay exact in sums too.
    return tuple(x.numpy().astype(np.int64) for x in (intersection, union))


def _iou(intersection: np.ndarray, union: np.ndarray) -> np.ndarray:
    return 100 * np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float('nan')
