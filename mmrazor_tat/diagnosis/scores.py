"""How good is a network on some batches, and which classes does it take for which?"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class NotCheckedError(Exception):
    """A check has nothing to look at; the text says what it lacks."""


@torch.no_grad()
def confusion(step: Callable[[Any], list], batches: Sequence, count: int) -> np.ndarray:
    """(C, C) pixels or images by label and prediction.

    Args:
        step: as a model's ``val_step``.
        batches: of the data loader.
        count: C, classes; other labels are left out.
    """
    table = np.zeros((count, count), np.int64)
    for sample in (sample for batch in batches for sample in step(batch)):
        label, prediction = _pair(sample)
        if label.shape != prediction.shape:
            raise NotCheckedError('labels of the size of the predictions')
        counts = (label >= 0) & (label < count) & (prediction < count)
        ids = label[counts] * count + prediction[counts]
        table += np.bincount(ids, minlength=count**2).reshape(count, count)
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


def _pair(sample: Any) -> tuple[np.ndarray, np.ndarray]:
    """Label and prediction, flat, of a segmentation or a classification."""
    for label, prediction in (('gt_sem_seg', 'pred_sem_seg'), ('gt_label', 'pred_label')):
        if label in sample and prediction in sample:
            both = (getattr(sample, name) for name in (label, prediction))
            both = (x.data if hasattr(x, 'data') and not isinstance(x, Tensor) else x for x in both)
            return tuple(x.cpu().numpy().astype(np.int64).ravel() for x in both)
    raise NotCheckedError('labels and predictions of classes')
