"""How much each loss has to say: its gradient at the features that are distilled."""

import torch
from torch import Tensor

_SCALES = (2.0**16, 2.0**8, 1.0)


def gradient_shares(
    records: dict[str, Tensor], losses: dict[str, Tensor]
) -> dict[str, dict[str, float]]:
    """Each loss's share of the gradient at each record, all ways to it included.

    A loss on the logits reaches the feature before them as well. The graph stays for the backward
    pass proper.

    Returns:
        By record and loss: the L2 norm of its gradient over the sum of all losses' norms. Records
        without a graph are left out.
    """
    records = {name: x for name, x in records.items() if x.requires_grad}
    norms: dict[str, dict[str, Tensor]] = {name: {} for name in records}
    for loss, value in losses.items() if records else ():
        for name, norm in zip(records, _gradient_norms(list(records.values()), value)):
            norms[name][loss] = norm
    return {
        name: {loss: (norm / sum(of.values())).nan_to_num(0).item() for loss, norm in of.items()}
        for name, of in norms.items()
    }


def _gradient_norms(records: list[Tensor], value: Tensor) -> list[Tensor]:
    """The L2 norms of the gradients of a loss at the records."""
    if not value.requires_grad:
        return [record.new_zeros((), dtype=torch.float32) for record in records]
    # Without a loss scale most of a mean's gradient lies below what float16 can hold.
    is_float16 = any(record.dtype == torch.float16 for record in records)
    for scale in _SCALES if is_float16 else (1.0,):
        gradients = torch.autograd.grad(
            scale * value, records, retain_graph=True, allow_unused=True
        )
        # In float32: the squares of half-precision gradients overflow.
        norms = [
            record.new_zeros((), dtype=torch.float32) if x is None else x.float().norm() / scale
            for record, x in zip(records, gradients)
        ]
        if all(norm.isfinite() for norm in norms):
            break
    return norms
