"""The size of the images that a config trains on, wherever it says it."""

import pytest
from mmengine import Config

from mmrazor_tat.recipes.features import input_size, training_crop

FLIP = dict(type='RandomFlip')


def config(pipeline=(), dataset='ImageNet', **settings) -> Config:
    loader = dict(dataset=dict(type=dataset, pipeline=list(pipeline)))
    return Config(dict(model=dict(settings.pop('model', {})), train_dataloader=loader, **settings))


@pytest.mark.parametrize(
    'cfg, size',
    [
        (config(model=dict(data_preprocessor=dict(size=(48, 64)))), (48, 64)),
        (config(crop_size=(96, 80)), (96, 80)),
        (config([dict(type='RandomResizedCrop', scale=224), FLIP]), (224, 224)),
        (config([dict(type='RandomCrop', crop_size=32, padding=4), FLIP]), (32, 32)),
        (config([dict(type='mmpretrain.CenterCrop', crop_size=(64, 48))]), (64, 48)),
        (config([FLIP], 'CIFAR100'), (32, 32)),
        (config([FLIP], 'CIFAR10'), (32, 32)),
        (config([FLIP]), None),
        (Config(dict(model=dict())), None),
    ],
)
def test_where_it_stands(cfg, size):
    assert training_crop(cfg) == size
    assert input_size(cfg) == (size or (512, 512))
