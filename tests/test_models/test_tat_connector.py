import copy

import pytest
import torch
from drawn import build, maps

from mmrazor_tat import functional
from mmrazor_tat.models import TaTConnector


def by_hand(x, connector, over):
    """A convolution without bias, then a norm over the axes ``over``."""
    y = torch.einsum('oi,bihw->bohw', connector.conv.weight[:, :, 0, 0], x)
    mean = y.mean(over, keepdim=True)
    variance = ((y - mean) ** 2).mean(over, keepdim=True)
    weight, bias = (p.view(1, -1, 1, 1) for p in (connector.norm.weight, connector.norm.bias))
    return weight * (y - mean) / (variance + 1e-5).sqrt() + bias


def test_a_convolution_without_bias_then_a_norm_per_image():
    torch.manual_seed(0)
    connector = build(type='TaTConnector', in_channel=3, out_channel=5).double()
    for parameter in connector.norm.parameters():
        torch.nn.init.normal_(parameter)
    (x,) = maps((2, 3, 4, 6))
    expected = by_hand(x, connector, over=(2, 3))
    torch.testing.assert_close(connector(x), expected, rtol=0, atol=1e-12)
    names = {name for name, _ in connector.named_parameters()}
    assert names == {'conv.weight', 'norm.bias', 'norm.weight'}


def test_the_imagenet_settings():
    connector = TaTConnector(3, 5, kernel_size=3, norm_cfg=dict(type='BN'))
    assert isinstance(connector.norm, torch.nn.BatchNorm2d)
    assert connector(torch.randn(2, 3, 7, 7)).shape == (2, 5, 7, 7)


@pytest.mark.parametrize('norm', ['IN', 'BN'])
@pytest.mark.parametrize('batch', [1, 2])
def test_gradient_is_right_where_batch_norm_s_own_is_not(norm, batch):
    """A token view hands back a gradient of channels-last strides; see the connector."""
    torch.manual_seed(0)
    connector = TaTConnector(6, 8, norm_cfg=dict(type=norm, affine=True))
    exact = copy.deepcopy(connector).double()
    x = torch.randn(batch, 6, 8, 8)
    key = torch.randn(batch, 1, 64, 8)

    def gradients(project, leaf, parameters):
        tokens = functional.whole_map(project(leaf))
        query = key.to(leaf.dtype)
        return torch.autograd.grad(
            functional.tat_loss(tokens, tokens, query, query), [leaf, *parameters]
        )

    result = gradients(connector, x.clone().requires_grad_(), connector.parameters())
    over = (2, 3) if norm == 'IN' else (0, 2, 3)
    expected = gradients(
        lambda leaf: by_hand(leaf, exact, over), x.double().requires_grad_(), exact.parameters()
    )
    for got, wanted in zip(result, expected):
        assert (got - wanted).norm() < 1e-4 * wanted.norm()


def test_autocast_stops_at_the_connector():
    connector, x = TaTConnector(3, 5), torch.randn(2, 3, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        y = connector(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, connector(x))
    assert connector(x.half()).dtype == torch.float32


class TestChannels:
    def test_are_filled_in_later(self):
        connector = TaTConnector()
        with pytest.raises(RuntimeError, match='has no channels yet'):
            connector(torch.zeros(1, 3, 4, 4))
        connector.set_channels(3, 5)
        assert connector(torch.randn(1, 3, 4, 4)).shape == (1, 5, 4, 4)

    def test_that_were_given_stay(self):
        connector = TaTConnector(out_channel=7)
        connector.set_channels(3, 5)
        assert connector(torch.randn(1, 3, 4, 4)).shape == (1, 7, 4, 4)

    def test_that_do_not_fit(self):
        with pytest.raises(ValueError, match='in_channel is 4, the record has 3 channels'):
            TaTConnector(in_channel=4).set_channels(3, 5)
        connector = TaTConnector()
        connector.set_channels(3, 5)
        connector.set_channels(3, 5)
        with pytest.raises(ValueError, match='in_channel is 3, the record has 6 channels'):
            connector.set_channels(6, 5)
        with pytest.raises(ValueError, match='teachers of 5 and of 6 channels'):
            connector.set_channels(3, 6)
