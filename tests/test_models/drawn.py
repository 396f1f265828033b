"""Components by their config, and drawn maps, for the tests of the losses."""

import torch
from mmrazor.registry import MODELS


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def maps(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes]
