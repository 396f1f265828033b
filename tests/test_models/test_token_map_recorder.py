"""Tokens as maps: every token lands where its patch lies in the image."""

import pytest
import torch
from mmrazor.registry import TASK_UTILS
from torch import nn

from mmrazor_tat.models.recorders.token_map_recorder import map_size


class Patches(nn.Module):
    """Means of patches as tokens, row by row, after ``prefix`` others."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        self.tokens = nn.Identity()
        self.prefix = prefix

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.pool(inputs).flatten(2).transpose(1, 2)
        return self.tokens(torch.cat([x.new_zeros(len(x), self.prefix, x.shape[2]), x], 1))


@pytest.mark.parametrize('size', [(16, 16), (8, 24), (12, 20)])
@pytest.mark.parametrize('prefix', [0, 1, 5])
def test_each_token_at_its_place(size, prefix):
    model = Patches(prefix)
    recorder = TASK_UTILS.build(dict(type='mmrazor.TokenMapRecorder', source='tokens'))
    recorder.initialize(model)
    x = torch.randn(2, 3, *size)
    with recorder:
        model(inputs=x)
    assert torch.equal(recorder.get_record_data(), model.pool(x))


def test_what_is_given_is_taken_and_a_map_stays():
    assert map_size(65, (64, 64), (4, 16), 1) == (4, 16, 1)
    model = Patches(0)
    recorder = TASK_UTILS.build(dict(type='mmrazor.TokenMapRecorder', source='pool'))
    recorder.initialize(model)
    with recorder:
        model(torch.zeros(1, 3, 8, 8))
    assert recorder.get_record_data().shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    ('arguments', 'result'),
    [
        ((196, (224, 224)), (14, 14, 0)),
        ((197, (224, 224)), (14, 14, 1)),
        ((201, (224, 224)), (14, 14, 5)),
        ((16384, (512, 512)), (128, 128, 0)),
        ((16 * 33, (256, 513)), (16, 33, 0)),  # 513 / 16 rounded up
        ((2 * 50, (32, 800)), (2, 50, 0)),
    ],
)
def test_sizes(arguments, result):
    assert map_size(*arguments) == result


@pytest.mark.parametrize(
    'arguments', [(23, (64, 64)), (9, None), (10, (64, 64), (3, 3), 0), (1, (8, 8), None, 1)]
)
def test_tokens_that_make_no_map(arguments):
    with pytest.raises(ValueError, match=f'{arguments[0]} tokens make no map .*set size='):
        map_size(*arguments)
