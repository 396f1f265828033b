"""That an ONNX file computes what the network in torch computes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of the greatest logit, and besides. Other kernels sum in another order.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


@dataclass(frozen=True)
class Case:
    """One input in both.

    Attributes:
        shape: of the input.
        difference: the greatest between the logits.
        tolerance: what it may be: ``RELATIVE`` of the greatest logit, plus ``ABSOLUTE``.
        same_labels: the share of pixels whose greatest logit is the same class.
    """

    shape: tuple[int, ...]
    difference: float
    tolerance: float
    same_labels: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_onnx(path: Path, network: nn.Module, image: Tensor, is_dynamic: bool) -> list[Case]:
    """Run an ONNX file on the CPU, by onnxruntime, beside the network that it was written from.

    Args:
        path: of the file.
        network: gives logits (N, classes, H, W) of an input (N, 3, H, W).
        image: (1, 3, H, W), normalized. It is run alone and as one of three; where the sizes are
            dynamic, also at two more sizes.
        is_dynamic: whether they are.

    Raises:
        ValueError: the file is no valid ONNX, cannot be run, or computes something else.
    """
    import onnx
    import onnxruntime

    try:
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    except Exception as error:  # each package has its own kinds
        raise ValueError(f'the ONNX file is not valid: {_first_line(error)}') from error
    return [_compare(session, network, batch) for batch in _batches(image, is_dynamic)]


def _batches(image: Tensor, is_dynamic: bool) -> list[Tensor]:
    """One image; three; where the sizes are free, other sizes, odd ones among them."""
    height, width = image.shape[2:]
    batches = [image, torch.cat([image, image.flip(3), image.flip(2)])]
    if is_dynamic:
        sizes = [(height // 2 + 17, width // 2 + 8), (height // 2 + 32, width // 3 + 33)]
        for size, batch in zip(sizes, batches):
            batches.append(F.interpolate(batch, size, mode='bilinear', align_corners=False))
    return batches


def _compare(session: Any, network: nn.Module, batch: Tensor) -> Case:
    shape = tuple(batch.shape)
    with torch.no_grad():
        expected = network(batch)
    try:
        got = torch.from_numpy(session.run(['logits'], {'input': batch.numpy()})[0])
    except Exception as error:
        raise ValueError(
            f'onnxruntime cannot run the ONNX file on an input of {shape}: {_first_line(error)}. '
            'If only a size other than that of the test image fails, try a fixed one '
            '(--onnx-size H W)'
        ) from error
    if got.shape != expected.shape:
        raise ValueError(
            f'of an input of {shape} the ONNX file gives logits of {tuple(got.shape)}, torch of '
            f'{tuple(expected.shape)}'
        )
    case = Case(
        shape,
        (got.double() - expected.double()).abs().max().item(),
        RELATIVE * expected.abs().max().item() + ABSOLUTE,
        (_labels(got) == _labels(expected)).double().mean().item(),
    )
    if not case.difference <= case.tolerance:  # nan is not
        raise ValueError(
            f'of an input of {shape} the logits of the ONNX file differ from those of torch by up '
            f'to {case.difference:g}; at most {case.tolerance:g} is accepted'
        )
    return case


def _labels(logits: Tensor) -> Tensor:
    """(N, H, W); of a single logit its sign."""
    return logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
