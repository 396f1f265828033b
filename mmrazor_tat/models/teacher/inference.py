"""The frozen teacher as an inference engine: less to compute, the same maps."""

import contextlib
from collections import Counter, defaultdict
from typing import Any, Optional

import torch
from mmrazor.models.task_modules.recorder import ParameterRecorder
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.weak import WeakTensorKeyDictionary

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


class NormsToFold(TorchDispatchMode):
    """Sees, while a network runs, which batch norms can be folded into the convolution before them.

    By the operations themselves: the order in which modules were made need not be that in which
    they are called, and what a convolution gives may be read by others too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outputs = WeakTensorKeyDictionary()  # of convolutions: the ids of their weights
        self._readers = defaultdict(list)  # by that id: the id of a running mean, or None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        norm = id(args[3]) if 'batch_norm' in str(func) else None
        for x in tree_flatten((args, kwargs))[0]:
            if isinstance(x, Tensor) and x in self._outputs:
                self._readers[self._outputs[x]].append(norm)
        output = func(*args, **(kwargs or {}))
        if 'convolution' in str(func) and isinstance(output, Tensor):
            self._outputs[output] = id(args[1])
        return output

    def fold(self, network: nn.Module, recorders: dict[str, Any]) -> None:
        """Fold them, but for those that a recorder of the network reads, or whose convolution."""
        modules = dict(network.named_modules())
        sources = [r.source for r in recorders.values() if isinstance(r, ParameterRecorder)]
        read = {source.rpartition('.')[0] for source in sources}
        read |= {name for name, m in modules.items() if m._forward_hooks or m._forward_pre_hooks}
        free = {name: module for name, module in modules.items() if name not in read}
        norms = {id(m.running_mean): k for k, m in free.items() if isinstance(m, _BatchNorm)}
        uses = Counter(norm for readers in self._readers.values() for norm in readers)
        for conv in [module for module in free.values() if isinstance(module, nn.Conv2d)]:
            readers = self._readers[id(conv.weight)]
            if len(readers) != 1 or readers[0] not in norms or uses[readers[0]] != 1:
                continue
            name = norms[readers[0]]
            norm = free[name]
            moments = norm.running_mean, norm.running_var, norm.eps
            affine = norm.weight, norm.bias
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *moments, *affine)
            parent, _, child = name.rpartition('.')
            setattr(network.get_submodule(parent), child, nn.Identity())
        network.requires_grad_(False)
