"""Shares of the gradient, against autograd on each loss alone."""

import copy

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmrazor_tat.models.gradient_shares import GradientShares


def test_by_hand():
    x = torch.ones(2, requires_grad=True) * 1.0  # a record: no leaf
    shares = GradientShares()
    a = 3 * shares.branch(x, 'feature', 'loss_a')[0]
    b = 5 * shares.branch(x, 'feature', 'loss_b')[1] - shares.branch(x, 'feature', 'loss_b')[1]
    task = 8 * x[0]
    assert shares.shares() == {}
    (a + b + task).backward()
    expected = dict(task=8 / 15, loss_a=3 / 15, loss_b=4 / 15)
    assert shares.shares() == {'feature': pytest.approx(expected)}


def test_half_precision_gradients_do_not_overflow():
    x = torch.ones(4, dtype=torch.float16, requires_grad=True) * 1.0
    shares = GradientShares()
    (shares.branch(x, 'feature', 'loss_a') * 3e4).sum().backward()
    assert shares.shares() == {'feature': pytest.approx(dict(task=0, loss_a=1))}


@pytest.mark.parametrize('composed', [True, False])
def test_of_a_step(segmentor, tat_distiller, lean_distiller, save_weights, batch, composed):
    """Composed, two losses share gamma, phi and theta; lean, one has its gradient made ahead."""
    teacher = segmentor(16)
    cfg = dict(
        type='mmrazor.FrozenTeacherDistill',
        architecture=segmentor(8),
        teacher=teacher,
        teacher_ckpt=save_weights(teacher),
        distiller=tat_distiller if composed else lean_distiller,
    )
    torch.manual_seed(0)
    model = ROOT_MODELS.build(copy.deepcopy(cfg)).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    names = list(model.distiller.distill_losses)
    shares = GradientShares()
    model.distiller.gradient_shares = shares
    losses = model.loss(*batch())
    model.parse_losses(losses)[0].backward()
    measured = shares.shares()['feature']
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    # The same without measuring: the same gradients, and each loss's own by autograd.
    model.distiller.gradient_shares = None
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
