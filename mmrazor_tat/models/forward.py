"""One forward pass to look at: which module fails, and in which mode."""

import contextlib
from typing import Any

from torch import Tensor, nn

from .teacher.input import normalization


def input_channels(network: nn.Module) -> int:
    """Of the images that a network takes, e.g. 1 for grey ones.

    They are the channels that its data preprocessor normalizes, else those of its first
    convolution (a siamese network's takes only a part of them).
    """
    known = normalization(getattr(network, 'data_preprocessor', None))
    if known is not None and known.mean is not None and len(known.mean) > 1:
        return len(known.mean)
    convolutions = (m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)))
    return next((conv.in_channels for conv in convolutions), 3)


class ModuleError(ValueError):
    """A network that cannot be run; the text says which of its modules raised what."""


def run(network: nn.Module, inputs: Tensor) -> Any:
    """``network(inputs, mode='tensor')``.

    Raises:
        ModuleError: in place of what a module raises.
    """
    running: list[str] = []
    handles = []
    for name, module in network.named_modules():
        handles += [
            module.register_forward_pre_hook(lambda *_, name=name: running.append(name)),
            module.register_forward_hook(lambda *_: running.pop() and None),
        ]
    try:
        return network(inputs, mode='tensor')
    except Exception as error:
        where = f' (in {running[-1]!r})' if running and running[-1] else ''
        raise ModuleError(f'{type(error).__name__}: {error}{where}') from error
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def evaluating(model: nn.Module):
    """Inside, the model is in eval mode."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
