"""How good is a network on some batches, and which classes does it take for which?"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.utils.data import DataLoader, Subset

_GROUPS = 12  # of images, for the error of a difference


class NotCheckedError(Exception):
    """A check has nothing to look at; the text says what it lacks."""


def spread_batches(loader: DataLoader, count: int) -> list:
    """Images from all over a data set: of folders by class the first ones are of one class."""
    whole = len(loader.dataset)
    count = min(count, whole)
    images = [n * (whole - 1) // max(count - 1, 1) for n in range(count)]
    images = Subset(loader.dataset, images)
    return [*DataLoader(images, loader.batch_size or 1, collate_fn=loader.collate_fn)]


@torch.no_grad()
def confusion(step: Callable[[Any], list], batches: Sequence, count: int) -> np.ndarray:
    """(G, C, C) pixels or images by group of images, label and prediction.

    Args:
        step: as a model's ``val_step``.
        batches: of the data loader.
        count: C, classes; other labels are left out.
    """
    table = np.zeros((_GROUPS, count, count), np.int64)
    for number, sample in enumerate(sample for batch in batches for sample in step(batch)):
        label, prediction = _pair(sample)
        if label.shape != prediction.shape:
            raise NotCheckedError('labels of the size of the predictions')
        counts = (label >= 0) & (label < count) & (prediction < count)
        ids = label[counts] * count + prediction[counts]
        table[number % _GROUPS] += np.bincount(ids, minlength=count**2).reshape(count, count)
    if not table.any():
        raise NotCheckedError('a validation with labels of the classes of its data set')
    return table


def score(table: np.ndarray, metric: str) -> float:
    """'mIoU' or 'accuracy', in per cent, of a confusion."""
    right = np.diag(table)
    if metric == 'accuracy':
        return 100 * right.sum() / table.sum()
    union = table.sum(0) + table.sum(1) - right
    return float(100 * np.mean(right[union > 0] / union[union > 0]))


def error_of_difference(one: np.ndarray, other: np.ndarray, metric: str) -> float:
    """The standard error of score(one) - score(other), tables as of :func:`confusion`, by the
    jackknife over groups of images; infinite of a single group."""
    left_out = [
        score(one.sum(0) - one[n], metric) - score(other.sum(0) - other[n], metric)
        for n in range(len(one))
        if one[n].any()
    ]
    number = len(left_out)
    return math.sqrt((number - 1) * np.var(left_out)) if number > 1 else math.inf


def guess_of(table: np.ndarray, metric: str) -> float:
    """The score of the commonest class everywhere, by a confusion (C, C)."""
    constant, labels = np.zeros_like(table), table.sum(1)
    if np.count_nonzero(labels) < 2:
        raise NotCheckedError('images of more than one class (--num-images)')
    constant[:, labels.argmax()] = labels
    return score(constant, metric)


def iou(table: np.ndarray) -> np.ndarray:
    """(C, C) by prediction and label, of a confusion (C, C)."""
    return table.T / np.maximum(table.sum(0)[:, None] + table.sum(1) - table.T, 1)


def assignment(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which prediction is best taken for which label; where nothing tells, for its own."""
    known = table.sum(1) > 0
    return linear_sum_assignment(-iou(table) * known - 1e-6 * np.eye(len(table)))


def renumbered(tables: np.ndarray) -> np.ndarray:
    """The confusion of one half of the images with the numbers that suit the other half, and the
    other way round: of many classes and few images any predictions would suit themselves."""
    halves, found = (tables[::2].sum(0), tables[1::2].sum(0)), np.zeros_like(tables[0])
    for one, other in (halves, halves[::-1]):
        predicted, label = assignment(one)
        found[:, label] += other[:, predicted]
    return found


def _pair(sample: Any) -> tuple[np.ndarray, np.ndarray]:
    """Label and prediction, flat, of a segmentation or a classification."""
    for label, prediction in (('gt_sem_seg', 'pred_sem_seg'), ('gt_label', 'pred_label')):
        if label in sample and prediction in sample:
            both = (getattr(sample, name) for name in (label, prediction))
            both = (x.data if hasattr(x, 'data') and not isinstance(x, Tensor) else x for x in both)
            return tuple(x.cpu().numpy().astype(np.int64).ravel() for x in both)
    raise NotCheckedError('labels and predictions of classes')
