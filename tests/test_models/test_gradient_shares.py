"""Shares of the gradient, against autograd on each loss alone."""

import pytest
import torch
from torch import nn

from mmrazor_tat.models.gradient_shares import loss_gradients


def gradient_shares(records, losses):
    found = loss_gradients(records, losses)
    return {name: {loss: g.share for loss, g in of.items()} for name, of in found.items()}


def test_by_hand():
    x = torch.ones(2, requires_grad=True) * 1.0  # records: no leaves
    y = 2 * x
    losses = dict(task=8 * x[0], loss_a=3 * x[0], loss_b=(y * torch.tensor([3.0, 4.0])).sum())
    shares = gradient_shares(dict(feature=x, logits=y, fixed=torch.ones(2)), losses)
    # What loss_b sends through the logits arrives at the feature, twice as large.
    assert shares == {
        'feature': pytest.approx(dict(task=8 / 21, loss_a=3 / 21, loss_b=10 / 21)),
        'logits': pytest.approx(dict(task=0, loss_a=0, loss_b=1)),
    }
    found = loss_gradients(dict(feature=x), losses)['feature']
    assert [found[loss].norm for loss in losses] == pytest.approx([8, 3, 10])
    assert [found[loss].cosine for loss in losses] == pytest.approx([1, 1, 0.6])
    sum(losses.values()).backward()  # the graph is still there


def test_a_loss_without_a_graph_and_no_loss_at_all():
    x = torch.ones(2, requires_grad=True) * 1.0
    zero = dict(loss_a=torch.zeros(()))
    assert gradient_shares(dict(feature=x), dict(task=x.sum(), **zero))['feature']['loss_a'] == 0
    assert (
        loss_gradients(dict(feature=x), dict(task=x.sum(), **zero))['feature']['loss_a'].cosine
        is None
    )
    assert gradient_shares(dict(feature=x), zero) == {'feature': {'loss_a': 0.0}}
    assert gradient_shares(dict(feature=torch.ones(2)), dict(task=x.sum())) == {}


def test_half_precision_gradients_neither_overflow_nor_underflow():
    """Float16 knows nothing of 1e-8, and of 3e4 only without a scale."""
    x = torch.ones(4, dtype=torch.float16, requires_grad=True) * 1.0
    expected = pytest.approx(dict(task=0.25, loss_a=0.75), rel=1e-3)
    for size in (1e-8, 1e4):
        losses = dict(task=(x.float() * size).sum(), loss_a=(x.float() * 3 * size).sum())
        assert gradient_shares(dict(feature=x), losses) == dict(feature=expected)
    alone = gradient_shares(dict(feature=x), dict(loss_a=(x * 3e4).sum()))
    assert alone == dict(feature=dict(loss_a=1.0))


@pytest.mark.parametrize('composed', [True, False])
def test_of_a_step(algorithm, tat_distiller, lean_distiller, distiller_config, batch, composed):
    """Composed, two losses share gamma, phi and theta; lean, one has its gradient made ahead. And
    one more loss, on the logits, which reaches the feature as well."""
    distiller = tat_distiller if composed else lean_distiller
    if not composed:
        distiller.distill_losses.loss_tat.lean = True
    on_logits = distiller_config('kd')
    distiller.distill_losses.update(on_logits.distill_losses)
    distiller.loss_forward_mappings.update(on_logits.loss_forward_mappings)
    model = algorithm(distiller).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    names = list(model.distiller.distill_losses)
    model.measures_gradients = True
    losses = model.loss(*batch())
    model.parse_losses(losses)[0].backward()
    measured = {k: g.share for k, g in model.loss_gradients['feature'].items()}
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    # The same without measuring: the same gradients, and each loss's own by autograd.
    model.measures_gradients = False
    model.zero_grad()
    model.parse_losses(model.loss(*batch()))[0].backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(grads[name], parameter.grad, rtol=1e-3, atol=1e-5)

    norms = {}
    for part in ['task', *names]:
        losses = model.loss(*batch())
        record = model.distiller.raw_record('feature', from_student=True)
        wanted = {'task': 'student.'}.get(part, f'distill.{part}')
        value = sum(v for k, v in losses.items() if k.startswith(wanted) and 'loss' in k)
        (gradient,) = torch.autograd.grad(value, record)
        norms[part] = gradient.norm().item()
    expected = {part: norm / sum(norms.values()) for part, norm in norms.items()}
    assert measured == pytest.approx(expected, rel=1e-3)
    assert min(measured.values()) > 0
