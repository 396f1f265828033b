"""The frozen teacher as an inference engine: less to compute, the same maps."""

import contextlib
from typing import Any, Optional

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import MMLogger
from mmrazor.models.task_modules.recorder import ParameterRecorder
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..distillers.records import at_least_float32

_EXACT = 1e-4  # of the largest value
_DTYPES = ('bfloat16', 'float16')


class TeacherInference:
    """How the teacher is run.

    Args:
        folds: whether the batch norms of a loaded teacher are folded, see :func:`fold_norms`.
        channels_last: whether it is run in this memory format.
        dtype: 'bfloat16' or 'float16': what autocast runs it in. None: as the student.
        compiles: whether ``torch.compile`` makes it, its weights as constants ("freezing").
    """

    def __init__(
        self, folds: bool, channels_last: bool, dtype: Optional[str], compiles: bool
    ) -> None:
        if dtype not in (None, *_DTYPES):
            raise ValueError(f'teacher_dtype must be one of {_DTYPES} or None, got {dtype!r}')
        self.folds, self.channels_last, self.compiles = folds, channels_last, compiles
        self.dtype = None if dtype is None else getattr(torch, dtype)
        self._compiled: Any = None

    def prepare(self, teacher: nn.Module, recorders: dict[str, Any], size: tuple) -> None:
        """Of a teacher that stays as it is from here on; images of ``size`` (C, H, W) suit it."""
        if self.folds:
            fold_norms(teacher, recorders, size)
        if self.channels_last:
            teacher.to(memory_format=torch.channels_last)

    def run(self, teacher: nn.Module, inputs: Tensor, data_samples: Optional[list]) -> None:
        """Its features, (B, C, H, W) -> what its recorders hold."""
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        precision = contextlib.nullcontext()
        if self.dtype is not None:
            precision = torch.autocast(inputs.device.type, self.dtype)
        if self._compiled is None:
            options = dict(freezing=True)
            self._compiled = torch.compile(teacher, options=options) if self.compiles else teacher
        with precision:
            self._compiled(inputs, data_samples, mode='tensor')

    def hand_over(self, recorders: dict[str, Any]) -> None:
        """Records in float32, where the student's are: connectors and losses take one dtype."""
        if self.dtype is None:
            return
        for recorder in recorders.values():
            buffer = getattr(recorder, 'data_buffer', [])
            buffer[:] = map(at_least_float32, buffer)


def fold_norms(teacher: nn.Module, recorders: dict[str, Any], size: tuple) -> bool:
    """Fold the batch norms into the convolutions before them, by mmcv's ``fuse_conv_bn``.

    The teacher stays as it is, and the log says why, where a recorder reads a convolution, a batch
    norm or a parameter, or where its output would be another: ``fuse_conv_bn`` goes by the order in
    which modules were made.

    Args:
        teacher: loaded, in eval mode.
        recorders: its recorders, by name.
        size: (C, H, W) of an image to try it on.

    Returns:
        Whether they are folded.
    """
    modules = dict(teacher.named_modules())
    norms = {name: module for name, module in modules.items() if isinstance(module, _BatchNorm)}
    convolutions = {name: m for name, m in modules.items() if isinstance(m, nn.Conv2d)}
    hooked = [m for m in modules.items() if m[1]._forward_hooks or m[1]._forward_pre_hooks]
    read = [name for name, _ in hooked if name in norms or name in convolutions]
    read += [r.source for r in recorders.values() if isinstance(r, ParameterRecorder)]
    if norms and read:
        _say(f'{read[0]!r} is recorded')
    if not norms or read:
        return False
    own = torch.Generator().manual_seed(0)  # the random numbers of the training stay what they are
    inputs = torch.randn(1, *size, generator=own).to(next(teacher.parameters()).device)
    weights = {name: (conv.weight, conv.bias) for name, conv in convolutions.items()}
    with torch.no_grad():
        before = _tensors(teacher(inputs, mode='tensor'))
        fuse_conv_bn(teacher)
        after = _tensors(teacher(inputs, mode='tensor'))
    change = max(((a - b).abs().max() / a.abs().max()).item() for a, b in zip(before, after))
    if change <= _EXACT:
        teacher.requires_grad_(False)
        return True
    for name, (weight, bias) in weights.items():
        convolutions[name].weight, convolutions[name].bias = weight, bias
    for name, norm in norms.items():
        parent, _, child = name.rpartition('.')
        setattr(teacher.get_submodule(parent), child, norm)
    _say(f'its output would change by {change:.1g}')
    return False


def _say(why: str) -> None:
    MMLogger.get_current_instance().info(f"the teacher's batch norms are not folded: {why}")


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [x for of in output for x in _tensors(of)]
