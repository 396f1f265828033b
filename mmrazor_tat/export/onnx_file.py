"""What becomes of an image before the network, for those who run it elsewhere."""

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.utils import digit_version
from torch import Tensor, nn

_NEW_EXPORTER = '2.7'  # the torch from which on it takes axes by name
_OPSETS = dict(new=18, old=17)  # the least of the new exporter, the greatest of the old one
_AXES = {0: 'batch', 2: 'height', 3: 'width'}


@dataclass(frozen=True)
class OnnxInput:
    """Which sizes the file takes, besides any number of images.

    Attributes:
        size: (height, width) of the input; None: that of the test image.
        is_dynamic: any height and width.
    """

    size: Optional[tuple[int, int]] = None
    is_dynamic: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and (self.is_dynamic or min(self.size) < 1):
            raise ValueError(
                'the size of an ONNX file is two positive numbers, or dynamic, not both; got '
                f'size={self.size}, is_dynamic={self.is_dynamic}'
            )


def require_onnx() -> None:
    """Raise ValueError where a package is missing that writes or checks ONNX files."""
    needed = ['onnx', 'onnxruntime'] + ['onnxscript'] * _exports_programs()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f'ONNX needs {" and ".join(missing)}, not installed here: pip install '
            + ' '.join(missing)
        )


class WholeImage(nn.Module):
    """A segmentor from the normalized image to logits of its size, as mmseg's whole mode does it.

    Args:
        network: mmseg's ``EncoderDecoder``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = revert_sync_batchnorm(network)
        self.eval()  # as a whole: the old exporter gives all parts the mode of this

    def forward(self, input: Tensor) -> Tensor:  # (N, 3, H, W)
        size = input.shape[2:]
        return self.network.encode_decode(  # (N, classes, H, W)
            input, [dict(img_shape=size, ori_shape=size, pad_shape=size)]
        )


def write_onnx(
    network: WholeImage, example: Tensor, is_dynamic: bool, meta: dict[str, Any], path: Path
) -> None:
    """Write the file, with one input 'input' and one output 'logits'.

    Args:
        network: what is written.
        example: (2, 3, H, W): the size of the input, where that is not dynamic. The number of
            images is always free.
        is_dynamic: whether height and width are free as well.
        meta: what stands in the file's ``metadata_props``, as text or JSON.
        path: of the file; written over.

    Raises:
        ValueError: torch cannot export this network.
    """
    import onnx

    axes = {axis: name for axis, name in _AXES.items() if axis == 0 or is_dynamic}
    names = dict(input_names=['input'], output_names=['logits'])
    try:
        with _quiet():
            if _exports_programs():
                torch.onnx.export(
                    network,
                    (example,),
                    str(path),
                    dynamo=True,
                    dynamic_shapes=dict(input=axes),
                    external_data=False,
                    verbose=False,
                    opset_version=_OPSETS['new'],
                    **names,
                )
            else:
                torch.onnx.export(
                    network,
                    (example,),
                    str(path),
                    dynamic_axes=dict(input=axes, logits=axes),
                    opset_version=_OPSETS['old'],
                    **names,
                )
    except Exception as error:  # torch's exporters raise anything
        raise ValueError(
            f'torch {torch.__version__} cannot write this network as ONNX'
            + (' with dynamic sizes: try a fixed one (--onnx-size H W)' if is_dynamic else '')
            + f': {_brief(error)}'
        ) from error
    model = onnx.load(str(path))
    onnx.helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in meta.items()}
    )
    onnx.save(model, str(path))


def _exports_programs() -> bool:
    """Whether this torch has the exporter that reads a program rather than traces one run.

    Only it takes SegFormer with dynamic sizes, and the adaptive pooling of PSP heads. Both write
    DeepLabV3, DeepLabV3+ and MobileNetV2 right, in all sizes.
    """
    return digit_version(torch.__version__) >= digit_version(_NEW_EXPORTER)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)  # it would name each operator of torchvision, which is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def _brief(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


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
