"""What a network is made of, without its weights."""

import copy
import warnings
from typing import NamedTuple, Optional

import torch
from mmengine.registry import MODELS, init_default_scope


class Shapes(NamedTuple):
    """A network's parts."""

    of: dict[str, torch.Size]  # by the names of its state_dict
    parameters: int


def network_shapes(network: dict, scope: str) -> Optional[Shapes]:
    """Build a network to see what it is made of.

    It is built on torch's meta device, which takes no memory. Some cannot be: mmpretrain's ResNet
    reads the values of a tensor. Those are built on the CPU; random numbers go on as without it.

    Args:
        network: its config, not changed.
        scope: of its registry, e.g. 'mmseg'.

    Returns:
        None where it cannot be built without its data.
    """
    init_default_scope(scope)
    for device in ('meta', 'cpu'):
        try:
            with (
                torch.device(device),
                torch.random.fork_rng(devices=[]),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter('ignore')  # the training says them
                model = MODELS.build(copy.deepcopy(network))
        except Exception:  # whatever is wrong with it: its own training says it better
            continue
        return Shapes(
            {key: value.shape for key, value in model.state_dict().items()},
            sum(parameter.numel() for parameter in model.parameters()),
        )
    return None
