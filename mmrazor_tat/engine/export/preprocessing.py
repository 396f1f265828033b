"""What becomes of an image before the network, for those who run it elsewhere."""

from typing import Any

from torch import nn


def preprocessing(network: nn.Module) -> dict[str, Any]:
    """How the data preprocessor of a network makes its input.

    Args:
        network: as ``mmseg.apis.init_model`` gives it, with a ``SegDataPreProcessor``, or
            ``mmpretrain.get_model``, with a ``ClsDataPreprocessor``.

    Returns:
        'channel_order' of the network's input ('RGB' or 'BGR'); 'mean' and 'std' in that order, in
        units of 0 to 255: the input is (image - mean) / std; 'size' and 'size_divisor' that a test
        image is padded to, with 'pad_value', after that; None: it is not padded.
    """
    processor = network.data_preprocessor
    cfg = getattr(network, 'cfg', None) or network._config
    own = cfg.model.get('data_preprocessor') or {}
    turns = any(own.get(key) for key in ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb'))
    padding = getattr(processor, 'test_cfg', None) or {}
    has_mean = own.get('mean') is not None
    return {
        # mmcv loads BGR; both settings of mmseg's turn the order around.
        'channel_order': 'RGB' if turns else 'BGR',
        'mean': list(own['mean']) if has_mean else [0.0, 0.0, 0.0],
        'std': list(own['std']) if has_mean else [1.0, 1.0, 1.0],
        'size': list(padding['size']) if padding.get('size') else None,
        'size_divisor': padding.get('size_divisor'),
        'pad_value': getattr(processor, 'pad_val', 0),
    }
