"""A segmentor as ONNX, held against what it computes in torch."""

import importlib.util
import json
import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.utils import digit_version
from torch import Tensor, nn
from torch.nn import functional as F

from ..utils.errors import naming
from ..utils.networks import quiet

_NEW_EXPORTER = '2.7'  # the torch from which on it takes axes by name
_OPSETS = dict(new=18, old=17)  # the least of the new exporter, the greatest of the old one
_AXES = {0: 'batch', 2: 'height', 3: 'width'}
# Of the greatest logit, and besides. Other kernels sum in another order.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


class Case(NamedTuple):
    """One input in both: its shape, the greatest difference between the logits, and what that may
    be (``RELATIVE`` of the greatest logit, plus ``ABSOLUTE``)."""

    shape: tuple[int, ...]
    difference: float
    tolerance: float


def require_onnx() -> None:
    """Raise ValueError where a package is missing that writes or checks ONNX files."""
    needed = ['onnx', 'onnxruntime'] + ['onnxscript'] * _exports_programs()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        how = f'pip install {" ".join(missing)}'
        raise ValueError(f'ONNX needs {" and ".join(missing)}, not installed here: {how}')


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
    network: nn.Module, example: Tensor, is_dynamic: bool, meta: dict[str, Any], path: Path
) -> None:
    """Write the file, with one input 'input' and one output 'logits'.

    The example (2, 3, H, W) gives the size, where that is not dynamic; the number of images is
    always free. ``meta`` stands in the file's ``metadata_props``, as text or JSON. ValueError where
    torch cannot export this network.
    """
    import onnx

    axes = {axis: name for axis, name in _AXES.items() if axis == 0 or is_dynamic}
    how = dict(dynamic_axes=dict(input=axes, logits=axes), opset_version=_OPSETS['old'])
    if _exports_programs():
        how = dict(dynamo=True, dynamic_shapes=dict(input=axes), opset_version=_OPSETS['new'])
        how.update(external_data=False, verbose=False)
    advice = ' with dynamic sizes: try a fixed one (--onnx-size H W)' if is_dynamic else ''
    logger = logging.getLogger(
        'torch.onnx'
    )  # names each operator of a torchvision that is not there
    with (
        naming(f'torch {torch.__version__} cannot write this network as ONNX{advice}'),
        quiet(logger),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        names = dict(input_names=['input'], output_names=['logits'])
        torch.onnx.export(network, (example,), str(path), **how, **names)
    model = onnx.load(str(path))
    onnx.helper.set_model_props(
        model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in meta.items()}
    )
    onnx.save(model, str(path))


def check_onnx(path: Path, network: nn.Module, image: Tensor, is_dynamic: bool) -> list[Case]:
    """Run an ONNX file on the CPU, by onnxruntime, beside the network that it was written from,
    which gives logits (N, classes, H, W) of (N, 3, H, W).

    The image (1, 3, H, W), normalized, is run alone and as one of three; where the sizes are
    dynamic, also at two more sizes, odd ones among them. ValueError where the file is no valid
    ONNX, cannot be run, or computes something else.
    """
    import onnx
    import onnxruntime

    with naming('the ONNX file is not valid'):
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    height, width = image.shape[2:]
    batches = [image, torch.cat([image, image.flip(3), image.flip(2)])]
    if is_dynamic:
        sizes = [(height // 2 + 17, width // 2 + 8), (height // 2 + 32, width // 3 + 33)]
        batches += [
            F.interpolate(batch, size, mode='bilinear', align_corners=False)
            for size, batch in zip(sizes, batches)
        ]
    return [_compare(session, network, batch) for batch in batches]


def _compare(session: Any, network: nn.Module, batch: Tensor) -> Case:
    shape = tuple(batch.shape)
    with torch.no_grad():
        expected = network(batch)
    advice = 'if only another size than that of the test image fails, try --onnx-size H W'
    with naming(f'onnxruntime cannot run the ONNX file on an input of {shape} ({advice})'):
        got = torch.from_numpy(session.run(['logits'], {'input': batch.numpy()})[0])
    if got.shape != expected.shape:
        raise ValueError(
            f'of an input of {shape} the ONNX file gives logits of {tuple(got.shape)}, torch of '
            f'{tuple(expected.shape)}'
        )
    difference = (got.double() - expected.double()).abs().max().item()
    tolerance = RELATIVE * expected.abs().max().item() + ABSOLUTE
    if not difference <= tolerance:  # nan is not
        raise ValueError(
            f'of an input of {shape} the logits of the ONNX file differ from those of torch by up '
            f'to {difference:g}; at most {tolerance:g} is accepted'
        )
    return Case(shape, difference, tolerance)


def _exports_programs() -> bool:
    """Whether this torch has the exporter that reads a program rather than traces one run.

    Only it takes SegFormer with dynamic sizes, and the adaptive pooling of PSP heads. Both write
    DeepLabV3, DeepLabV3+ and MobileNetV2 right, in all sizes.
    """
    return digit_version(torch.__version__) >= digit_version(_NEW_EXPORTER)
