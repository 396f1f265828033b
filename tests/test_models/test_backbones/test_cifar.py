"""The CIFAR networks: published parameter counts, with the linear layer of 100 classes."""

import pytest
import torch
from mmrazor.registry import MODELS

_WIDE = (32, 64, 128, 256)


@pytest.mark.parametrize(
    ('cfg', 'channels', 'parameters'),
    [
        (dict(type='mmrazor.CIFARResNet', depth=20), 64, 278_324),
        (dict(type='mmrazor.CIFARResNet', depth=32), 64, 472_756),
        (dict(type='mmrazor.CIFARResNet', depth=56), 64, 861_620),
        (dict(type='mmrazor.CIFARResNet', depth=110), 64, 1_736_564),
        (dict(type='mmrazor.CIFARResNet', depth=8, widths=_WIDE), 256, 1_233_540),
        (dict(type='mmrazor.CIFARResNet', depth=32, widths=_WIDE), 256, 7_433_860),
        (dict(type='mmrazor.WideResNet', depth=40, widen_factor=2), 128, 2_255_156),
        (dict(type='mmrazor.WideResNet', depth=40, widen_factor=1), 64, 569_780),
        (dict(type='mmrazor.WideResNet', depth=16, widen_factor=2), 128, 703_284),
        (dict(type='mmrazor.CIFARVGG', depth=8), 512, 3_965_028),
        (dict(type='mmrazor.CIFARVGG', depth=13), 512, 9_462_180),
    ],
)
def test_published_parameters_and_the_map(cfg, channels, parameters):
    model = MODELS.build(cfg).eval()
    assert sum(p.numel() for p in model.parameters()) + channels * 100 + 100 == parameters
    (x,) = model(torch.zeros(2, 3, 32, 32))
    side = 4 if 'VGG' in cfg['type'] else 8
    assert x.shape == (2, channels, side, side)


def test_the_stages():
    stages = MODELS.build(dict(type='mmrazor.CIFARResNet', depth=8, out_indices=(0, 1, 2)))
    assert [x.shape[1:] for x in stages(torch.zeros(2, 3, 32, 32))] == [
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
    ]
    blocks = MODELS.build(dict(type='mmrazor.CIFARVGG', depth=13, out_indices=(0, 1, 2, 3, 4)))
    sizes = [x.shape[1:] for x in blocks(torch.zeros(2, 3, 32, 32))]
    assert sizes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 4, 4)]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='mmrazor.CIFARResNet', depth=21), r'depth must be 6 n \+ 2 .*, got 21'),
        (dict(type='mmrazor.CIFARResNet', depth=20, widths=(16, 16)), 'widths must be'),
        (dict(type='mmrazor.CIFARVGG', depth=16), r'depth must be one of \(8, 13\), got 16'),
    ],
)
def test_bad_settings(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)
