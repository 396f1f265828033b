"""How much each loss has to say: its gradient at the features that are distilled."""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

TASK = 'task'  # the losses of the labels together, among the names of losses
_SCALES = (2.0**16, 2.0**8, 1.0)


class LossGradient(NamedTuple):
    """The gradient of one loss at one record."""

    norm: float  # L2
    share: float  # its norm over the sum of all losses' norms
    cosine: Optional[float]  # to the gradient of TASK; None where there is none, or it is 0


def loss_gradients(
    records: dict[str, Tensor], losses: dict[str, Tensor]
) -> dict[str, dict[str, LossGradient]]:
    """Each loss's gradient at each record, all ways to it included, by record and loss.

    A loss on the logits reaches the feature before them as well. The graph stays for the backward
    pass proper. Records without a graph are left out.

    Args:
        records: tensors of the student by name.
        losses: scalars by name; that of the labels, if any, is :data:`TASK`.
    """
    records = {name: x for name, x in records.items() if x.requires_grad}
    if not records:
        return {}
    inputs = list(records.values())
    of_task = _gradients(inputs, losses[TASK]) if TASK in losses else [None] * len(inputs)
    measured: dict[str, dict[str, list[Tensor]]] = {name: {} for name in records}
    for loss, value in losses.items():
        gradients = of_task if loss == TASK else _gradients(inputs, value)
        for name, record, own, task in zip(records, inputs, gradients, of_task):
            zero = record.new_zeros((), dtype=torch.float32)
            norm = zero if own is None else own.norm()
            dot = zero if own is None or task is None else (own * task).sum()
            measured[name][loss] = [norm, dot]
    found = {}
    for name, of in measured.items():
        values = {loss: torch.stack(pair).tolist() for loss, pair in of.items()}
        total = sum(norm for norm, _ in values.values())
        task_norm = values.get(TASK, [0.0])[0]
        found[name] = {
            loss: LossGradient(
                norm,
                norm / total if total > 0 else 0.0,
                dot / (norm * task_norm) if norm * task_norm > 0 else None,
            )
            for loss, (norm, dot) in values.items()
        }
    return found


def _gradients(records: list[Tensor], value: Tensor) -> list[Optional[Tensor]]:
    """The gradients of a loss at the records in float32; None where it does not reach."""
    if not value.requires_grad:
        return [None] * len(records)
    # Without a loss scale most of a mean's gradient lies below what float16 can hold.
    is_float16 = any(record.dtype == torch.float16 for record in records)
    for scale in _SCALES if is_float16 else (1.0,):
        gradients = torch.autograd.grad(
            scale * value, records, retain_graph=True, allow_unused=True
        )
        # In float32: the squares of half-precision gradients overflow.
        gradients = [None if x is None else x.float() / scale for x in gradients]
        if all(x is None or x.isfinite().all() for x in gradients):
            break
    return gradients
