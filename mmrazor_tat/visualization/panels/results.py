"""What a comparison of networks holds: scores, images and their sections."""

from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from torch import Tensor

from .networks import PLAIN, STUDENT, TEACHER


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
    """Intersection and union of one image, (C,) pixels each, of class ids (H, W)."""
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


@dataclass(frozen=True)
class Sample:
    """An image that is shown."""

    index: int  # in the validation data
    name: str  # of the image's file, without folder and ending
    image: np.ndarray  # (H, W, 3) uint8 RGB
    label: np.ndarray  # (H, W) class ids
    predictions: list[np.ndarray]  # the same, of each network
    miou: list[float]  # per cent, of each network on this image
    difference: float  # by what it was chosen, see :func:`.compare.differences`


@dataclass(frozen=True)
class Section:
    """Images under one title."""

    title: str
    samples: list[Sample]


@dataclass(frozen=True)
class Comparison:
    """Networks on the same images."""

    classes: tuple[str, ...]  # C names
    palette: np.ndarray  # (C, 3) uint8 RGB
    ignore_index: int  # the label of pixels that do not count
    scores: list[NetworkScores]  # in the order of the columns: teacher, plain student, student
    sections: list[Section]  # what is shown

    @property
    def num_images(self) -> int:
        """Those that were evaluated."""
        return len(self.scores[0].union)

    @property
    def images_text(self) -> str:
        """Of how many images the scores are, in words."""
        return f'{self.num_images} validation image{"" if self.num_images == 1 else "s"}'

    @property
    def samples(self) -> list[Sample]:
        """All that are shown."""
        return [sample for section in self.sections for sample in section.samples]

    def position(self, role: str) -> Optional[int]:
        """Which of the networks has a role; None: none."""
        return next((i for i, s in enumerate(self.scores) if s.role == role), None)

    def predictions(self, sample: Sample) -> tuple[np.ndarray, Optional[np.ndarray]]:
        """The student's prediction, and the plain student's (None where there is none)."""
        plain = self.position(PLAIN)
        student = sample.predictions[self.position(STUDENT)]
        return student, None if plain is None else sample.predictions[plain]

    def describe_difference(self, sample: Sample) -> str:
        """What a sample was chosen by, in points of mIoU; '' where that is the mIoU itself."""
        points = f'{round(sample.difference, 1) + 0.0:+.1f}'  # never -0.0
        if self.position(PLAIN) is not None:
            return f'gain {points}'
        if self.position(TEACHER) is not None:
            return f'{points} to {self.scores[self.position(TEACHER)].name}'
        return ''
