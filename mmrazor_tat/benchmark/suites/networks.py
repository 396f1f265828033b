"""The networks of a suite: what they are made of, and weights that several runs start from."""

import copy
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

import torch
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope

from ...utils.files import write_atomically
from ...utils.networks import initial_weights


class Shapes(NamedTuple):
    """A network's parts."""

    of: dict[str, torch.Size]  # by the names of its state_dict
    parameters: int


def network_shapes(network: dict, scope: str) -> Optional[Shapes]:
    """Build a network of a registry ('mmseg') to see what it is made of; None where it needs its
    data.

    It is built on torch's meta device, which takes no memory. Some cannot be: mmpretrain's ResNet
    reads the values of a tensor. Those are built on the CPU; random numbers go on as without it.
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


@dataclass(frozen=True)
class Start:
    """Which network is drawn with which seed, and the file."""

    cfg: Config = field(repr=False)
    digest: str  # of the network
    seed: int
    path: Path


def draw(start: Start) -> None:
    """Write the weights, unless those of this very network are there.

    A checkpoint that does not fit its network would be passed over by mmengine with a warning.
    """
    note = start.path.with_suffix('.txt')
    if start.path.exists() and note.exists() and note.read_text() == start.digest:
        return
    note.unlink(missing_ok=True)
    initial_weights(start.cfg, start.path, start.seed)
    write_atomically(note, start.digest)
