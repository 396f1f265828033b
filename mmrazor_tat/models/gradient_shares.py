"""How much each loss has to say: its gradient at the features that are distilled."""

import torch
from torch import Tensor


def gradient_shares(
    records: dict[str, Tensor], losses: dict[str, Tensor]
) -> dict[str, dict[str, float]]:
    """Each loss's share of the gradient at each record, all ways to it included.

    A loss on the logits reaches the feature before them as well. The graph stays for the backward
    pass proper.

    Args:
        records: what the student's recorders hold, by name; those without a graph are left out.
        losses: scalars by name.

    Returns:
        By record and loss: the L2 norm of its gradient over the sum of all losses' norms.
    """
    records = {name: x for name, x in records.items() if x.requires_grad}
    if not records:
        return {}
    norms: dict[str, dict[str, Tensor]] = {name: {} for name in records}
    for loss, value in losses.items():
        gradients: tuple = (None,) * len(records)
        if value.requires_grad:
            gradients = torch.autograd.grad(
                value, list(records.values()), retain_graph=True, allow_unused=True
            )
        for (name, record), gradient in zip(records.items(), gradients):
            # In float32: the squares of half-precision gradients overflow.
            zero = record.new_zeros((), dtype=torch.float32)
            norms[name][loss] = zero if gradient is None else gradient.float().norm()
    shares = {}
    for name, of in norms.items():
        total = sum(of.values())
        shares[name] = {loss: (norm / total).nan_to_num(0).item() for loss, norm in of.items()}
    return shares
