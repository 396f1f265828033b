"""What losses read from the data samples of a batch: labels, and which image each is.

A recorder of the student hands them over. With mmpretrain's classifiers it is
``dict(type='MethodInputs', source='mmpretrain.models.LinearClsHead.loss')``, or the class of
whatever head the student has; ``data_idx=1`` picks the samples.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..utils.errors import UserError


def labels(data_samples: Sequence[Any], device: torch.device) -> Tensor:
    """The class of each image, (B,) integers, of samples with a ``gt_label`` (mmpretrain's).

    Raises:
        ValueError: a sample without a label, or with several.
    """
    found = [torch.as_tensor(getattr(sample, 'gt_label', ())) for sample in data_samples]
    for k, label in enumerate(found):
        if label.numel() != 1:
            given = getattr(data_samples[k], 'gt_label', None)
            raise UserError(
                f'data_samples[{k}] has gt_label {given!r}: this loss needs one class an image'
            )
    return torch.stack([label.reshape(()) for label in found]).to(device)


def class_targets(data_samples: Sequence[Any], logits: Tensor) -> Tensor:
    """What the task loss compares the softmax with, (B, K): a one at the label, or ``gt_score``.

    Args:
        data_samples: B samples with ``gt_label``, or with the ``gt_score`` of mixed images.
        logits: (B, K).

    Raises:
        ValueError: another number of samples, or one without a label.
    """
    if len(data_samples) != len(logits):
        raise ValueError(f'{len(data_samples)} data_samples, but logits of {len(logits)} images')
    if getattr(data_samples[0], 'gt_score', None) is not None:
        return torch.stack([sample.gt_score for sample in data_samples]).to(logits)
    of_images = labels(data_samples, logits.device)
    return torch.zeros_like(logits).scatter(1, of_images[:, None], 1.0)


def sample_indices(data_samples: Sequence[Any], count: int, device: torch.device) -> Tensor:
    """Which of ``count`` images of the data set each is, (B,) integers.

    mmpretrain's ``PackInputs`` keeps the ``sample_idx`` that tells it by default.

    Raises:
        ValueError: a sample without it, or one outside the data set.
    """
    found = [getattr(sample, 'sample_idx', None) for sample in data_samples]
    for k, index in enumerate(found):
        if index is None:
            raise UserError(
                f'data_samples[{k}] has no sample_idx: name it in the meta_keys of PackInputs'
            )
        if not 0 <= int(index) < count:
            raise UserError(
                f'data_samples[{k}] has sample_idx {index}, but num_samples is {count}: set it '
                'to the number of training images'
            )
    return torch.tensor([int(index) for index in found], device=device)
