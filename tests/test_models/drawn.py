"""Components by their config, and drawn maps, for the tests of the losses."""

import functools
from pathlib import Path

import torch
from mmengine import Config
from mmrazor.registry import MODELS

METHODS = Path(__file__).parents[2] / 'configs/_base_/methods'


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def maps(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in shapes]


@functools.cache
def recipe(method):
    """Config of the loss at the head, as the recipes for segmentation have it."""
    losses = Config.fromfile(METHODS / f'{method}.py').method.distiller.distill_losses
    return losses.get('loss_feature', losses.get(f'loss_{method}'))
