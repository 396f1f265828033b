"""A frozen teacher's batch norms in its convolutions: less to compute, the same maps."""

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmrazor.models.task_modules.recorder import ParameterRecorder, RecorderManager
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.weak import WeakTensorKeyDictionary


@torch.no_grad()
def fold_norms(teacher: nn.Module, recorders: RecorderManager, size: Sequence[int]) -> None:
    """Fold the batch norms of a network in eval mode into the convolutions before them.

    Not those that a recorder reads, or whose convolution one reads, or that have a second name. The
    network is run before and after (``mode='tensor'``), on random images of half the size (or of
    all of it, where it takes no other): if its maps or records are not the same to 1e-3, all is put
    back and said.

    Args:
        size: (1, C, H, W) of an input.
    """
    halves = (*size[:2], *(-(-length // 2) for length in size[2:]))
    for shape in (halves, size):
        inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        inputs = inputs.to(next(teacher.parameters(), inputs))
        seen = NormsToFold()
        try:
            with seen:
                before = _maps(teacher, recorders, inputs)
            break
        except Exception:  # whatever a network raises at a size that it does not take
            if shape is size:
                raise
    seen.read(before)
    folded = seen.fold(teacher, recorders.recorders)
    try:
        teacher.train(teacher.training)  # some look at their norms there
        after = _maps(teacher, recorders, inputs)
        worst = max(map(_difference, before, after), default=0.0)
        is_right = len(before) == len(after) and worst <= 1e-3
        wrong = '' if is_right else f'its maps differ by {worst:.1e} of their largest value'
    except Exception as error:  # e.g. a network that reads a norm's weights itself
        wrong = f'{type(error).__name__}: {error}'
    if wrong:
        folded.undo()
        MMLogger.get_current_instance().warning(
            f'fold_teacher: the batch norms of the {type(teacher).__name__} are left as they are, '
            f'as with them folded {wrong}'
        )
        return
    refuse = functools.partial(_refuse_weights, tuple(folded.pairs))
    teacher._register_load_state_dict_pre_hook(refuse)


def _maps(network: nn.Module, recorders: RecorderManager, inputs: Tensor) -> list[Tensor]:
    """What a network gives, and what of it is recorded."""
    with recorders:
        output = network(inputs, mode='tensor')
    buffers = [getattr(r, 'data_buffer', None) for r in recorders.recorders.values()]
    return [x for x in tree_flatten((output, buffers))[0] if isinstance(x, Tensor)]


def _difference(x: Tensor, y: Tensor) -> float:
    """The greatest, in parts of the greatest number; infinite where other ones are no numbers."""
    x, y = x.double(), y.double()
    if x.shape != y.shape or not torch.equal(x.isfinite(), y.isfinite()):
        return math.inf
    x, y = x[x.isfinite()], y[y.isfinite()]
    greatest = (x - y).abs().max().item() if x.numel() else 0.0
    return greatest and greatest / x.abs().max().item() if x.any() else greatest


def _refuse_weights(norms: tuple[str, ...], state_dict: dict, prefix: str, *_) -> None:
    """Raise for weights of the network as it was: its convolutions would take theirs, unfolded."""
    if any(f'{prefix}{name}.running_mean' in state_dict for name in norms):
        raise RuntimeError(
            'the batch norms of the teacher are folded into its convolutions, so weights as they '
            'were before cannot be loaded any more: build it with fold_teacher=False'
        )


class Folded:
    """Batch norms that were folded, and how to put them back."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.pairs: dict[str, tuple] = {}  # by the norm's name: it, its convolution's old weights

    def fold(self, name: str, norm: nn.Module, conv: nn.Module) -> None:
        self.pairs[name] = norm, conv, conv.weight, conv.bias
        moments = norm.running_mean, norm.running_var, norm.eps
        affine = norm.weight, norm.bias
        conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *moments, *affine)
        self._replace(name, nn.Identity())

    def undo(self) -> None:
        for name, (norm, conv, weight, bias) in self.pairs.items():
            conv.weight, conv.bias = weight, bias
            self._replace(name, norm)

    def _replace(self, name: str, module: nn.Module) -> None:
        parent, _, child = name.rpartition('.')
        setattr(self.network.get_submodule(parent), child, module)


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

    def read(self, tensors: list[Tensor]) -> None:
        """Others read these as well."""
        for x in tensors:
            if x in self._outputs:
                self._readers[self._outputs[x]].append(None)

    def fold(self, network: nn.Module, recorders: dict[str, Any]) -> Folded:
        """Fold them, but for those that a recorder of the network reads, or whose convolution."""
        names = defaultdict(list)
        for name, module in network.named_modules(remove_duplicate=False):
            names[module].append(name)
        sources = [r.source for r in recorders.values() if isinstance(r, ParameterRecorder)]
        read = {source.rpartition('.')[0] for source in sources}
        free = {
            of[0]: module
            for module, of in names.items()
            if len(of) == 1 and of[0] not in read
            if not module._forward_hooks and not module._forward_pre_hooks
        }
        norms = {
            id(module.running_mean): name
            for name, module in free.items()
            if isinstance(module, _BatchNorm) and not module.training
            # A class of one's own may do more.
            if type(module).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
            if module.running_mean is not None
        }
        uses = Counter(norm for readers in self._readers.values() for norm in readers)
        folded = Folded(network)
        of_modules = Counter(id(p) for m in names for p in m.parameters(recurse=False))
        for conv in [module for module in free.values() if isinstance(module, nn.Conv2d)]:
            if any(of_modules[id(p)] > 1 for p in conv.parameters(recurse=False)):
                continue  # another layer has the same weights
            readers = self._readers[id(conv.weight)]
            if len(readers) == 1 and readers[0] in norms and uses[readers[0]] == 1:
                folded.fold(norms[readers[0]], free[norms[readers[0]]], conv)
        network.requires_grad_(False)
        return folded
