"""The frozen teacher as an inference engine: how it is run."""

import contextlib
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ..distillers.records import at_least_float32

_DTYPES = ('bfloat16', 'float16')


class TeacherInference:
    """How the teacher is run.

    Args:
        channels_last: whether in this memory format.
        dtype: 'bfloat16' or 'float16': what autocast runs it in. None: as the student.
        compiles: whether ``torch.compile`` makes it, its weights as constants ("freezing").
    """

    def __init__(self, channels_last: bool, dtype: Optional[str], compiles: bool) -> None:
        if dtype not in (None, *_DTYPES):
            raise ValueError(f'teacher_dtype must be one of {_DTYPES} or None, got {dtype!r}')
        self.channels_last, self.compiles = channels_last, compiles
        self.dtype = None if dtype is None else getattr(torch, dtype)
        self._compiled: Any = None

    def run(self, teacher: nn.Module, inputs: Tensor, data_samples: Optional[list]) -> None:
        """Its features, (B, C, H, W) -> what its recorders hold."""
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        precision = contextlib.nullcontext()
        if self.dtype is not None:
            precision = torch.autocast(inputs.device.type, self.dtype)
        if self._compiled is None:  # the first time: it stays as it is from here on
            if self.channels_last:
                teacher.to(memory_format=torch.channels_last)
            self._compiled = torch.compile(teacher) if self.compiles else teacher
        freezing: Any = contextlib.nullcontext()
        if self.compiles:  # torch.compile's own option of this name leaves the weights arguments
            freezing = torch._inductor.config.patch(freezing=True)
        with precision, freezing:
            self._compiled(inputs, data_samples, mode='tensor')

    def hand_over(self, recorders: dict[str, Any]) -> None:
        """Records in float32, where the student's are: connectors and losses take one dtype."""
        if self.dtype is None:
            return
        for recorder in recorders.values():
            buffer = getattr(recorder, 'data_buffer', [])
            buffer[:] = map(at_least_float32, buffer)
