"""Import a torchvision that is built for CUDA beside a torch for the CPU.

mmpretrain needs torchvision. Where its compiled part cannot be loaded, its import fails for want of
two operators that nothing here calls: they are declared at the moment that they are missed. A
torchvision that fits its torch is left alone. For tests and benchmarks on the pinned stack; a
user's torchvision fits.
"""

import sys
from importlib.abc import MetaPathFinder

_OPERATORS = ('nms', 'qnms')
_library = None  # the operators live as long as it does


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == 'torchvision._meta_registrations':  # after the compiled part, where there is one
            _declare()


def _declare() -> None:
    global _library
    import torch

    if _library is None and not hasattr(torch.ops.torchvision, _OPERATORS[0]):
        _library = torch.library.Library('torchvision', 'DEF')
        for name in _OPERATORS:
            _library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')


def install() -> None:
    """From now on, in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
