"""A student's checkpoint as mmseg has it: its weights, its classes, nothing else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def student_checkpoint(
    weights: Mapping[str, Tensor], config_text: str, dataset_meta: Mapping[str, Any], **meta: Any
) -> dict[str, Any]:
    """What ``mmseg.apis.init_model`` and ``MMSegInferencer`` read.

    Args:
        weights: the student's ``state_dict``, by its own names.
        config_text: its plain config, see :func:`plain_config`, as a file has it.
        dataset_meta: 'classes' and 'palette' are taken.
        **meta: further entries of 'meta', e.g. ``iter=1000``.

    Returns:
        'state_dict', on the CPU, floating point in float32, and 'meta'; safe content all of it, so
        that a load that runs no code takes it.

    Raises:
        ValueError: there are no classes.
    """
    if not dataset_meta.get('classes'):
        raise ValueError(
            "neither the checkpoint (meta['dataset_meta']) nor the data set names the classes: set "
            'metainfo=dict(classes=..., palette=...) in its config'
        )
    own = {key: dataset_meta.get(key) for key in ('classes', 'palette')}
    return {
        'meta': {'dataset_meta': _plain(own), 'cfg': config_text, **_plain(meta)},
        'state_dict': {name: _stored(value) for name, value in weights.items()},
    }


def preprocessing(network: nn.Module) -> dict[str, Any]:
    """How the data preprocessor of a network makes its input, for those who run it elsewhere.

    'channel_order' of the input ('RGB' or 'BGR'); 'mean' and 'std' in that order, in units of 0 to
    255: the input is (image - mean) / std; 'size' and 'size_divisor' that a test image is padded
    to, with 'pad_value', after that; None: it is not padded.
    """
    processor = network.data_preprocessor
    cfg = getattr(network, 'cfg', None) or network._config
    own = cfg.model.get('data_preprocessor') or {}
    padding = getattr(processor, 'test_cfg', None) or {}
    # mmcv loads BGR; both settings of mmseg's turn the order around.
    turns = any(own.get(key) for key in ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb'))
    return {
        'channel_order': 'RGB' if turns else 'BGR',
        'mean': list(own.get('mean') or [0.0] * 3),
        'std': list(own['std']) if own.get('mean') else [1.0] * 3,
        'size': list(padding['size']) if padding.get('size') else None,
        'size_divisor': padding.get('size_divisor'),
        'pad_value': getattr(processor, 'pad_val', 0),
    }


def _stored(value: Tensor) -> Tensor:
    value = value.detach().to('cpu', torch.float32 if value.is_floating_point() else None)
    # Of a view torch.save would store all that it looks into.
    is_view = value.untyped_storage().nbytes() > value.numel() * value.itemsize
    return value.clone() if is_view else value


def _plain(value: Any) -> Any:
    """The same in Python's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
