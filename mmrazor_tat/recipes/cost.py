"""What distillation adds to a training step: time and memory, measured."""

import statistics
from typing import Any

import torch
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from ..models.forward import input_channels
from ..utils.measure import MIB, peak_memory, time_in_turns


def distillation_cost(
    algorithm: nn.Module, size: tuple[int, int], batch: int = 2, repeats: int = 2
) -> dict[str, tuple[float, float]]:
    """(seconds, MiB above the models) of a step without and with distillation, on the CPU.

    A step is forward and backward of the network from its logits on; labels are not needed, as the
    task loss costs the same in both. Medians, in turns; on a CPU the memory is the process's.

    Args:
        algorithm: a ``FrozenTeacherDistill``; its teacher may have random weights.
        size: (height, width) of the input.
        batch: at least 2, for the batch norms.
        repeats: of each.

    Returns:
        By name: 'student', 'distilled'.
    """
    revert_sync_batchnorm(algorithm)
    inputs = torch.randn(batch, input_channels(algorithm), *size)
    algorithm.train()
    distiller = algorithm.distiller

    def plain() -> None:
        _backward(algorithm.student(inputs, mode='tensor'), algorithm)

    def distilled() -> None:
        output = algorithm.record(inputs)
        losses = distiller.compute_distill_losses()
        _backward([output, [v for k, v in losses.items() if 'loss' in k]], algorithm)

    runs = dict(student=plain, distilled=distilled)
    seconds = time_in_turns(runs, repeats)
    result = {}
    for name, run in runs.items():
        memory = peak_memory(run)
        result[name] = (statistics.median(seconds[name]), (memory or float('nan')) / MIB)
    return result


def _backward(outputs: Any, model: nn.Module) -> None:
    sum(x.float().mean() for x in _tensors(outputs) if x.requires_grad).backward()
    model.zero_grad()


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [x for item in outputs for x in _tensors(item)]
    return []
