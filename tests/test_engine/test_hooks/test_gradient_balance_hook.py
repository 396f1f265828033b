"""Losses whose weights set themselves, in a run."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmrazor_tat.engine.hooks import GradientBalanceHook
from mmrazor_tat.models.distillers import SharedConnectorDistiller


def run(distillation, iterations, name='run', resume=False, more=(), **settings):
    hook = dict(type='mmrazor.GradientBalanceHook', interval=2, **settings)
    options = {'default_hooks.balance': hook, 'log_processor.window_size': 1, **dict(more)}
    runner = distillation(iterations, name, resume=resume, **options)
    runner.train()
    path = Path(runner.log_dir) / 'vis_data/scalars.json'
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return runner, [line for line in lines if 'distill.loss_tat' in line]


@pytest.mark.parametrize('weight', [1e-3, 1e3])
def test_the_share_is_the_one_wished_for_whatever_the_weight(distillation, weight):
    weights = {'model.distiller.distill_losses.loss_tat.loss_weight': weight}
    settings = dict(target=0.3, warmup=3, momentum=0.5, bounds=(1e-9, 1e9))
    _, lines = run(distillation, 16, more=weights, **settings)
    shares = [line['grad_share/feature/tat'] for line in lines]
    factors = [line['balance/tat'] for line in lines]
    assert abs(shares[1] - 0.3) > 0.25
    assert factors[:3] == [1.0] * 3 and factors[3] != 1.0  # the warm-up
    # Measured in iterations 1, 2, 4, 6, ..., each with the factor of its time taken out again; from
    # the fourth on the logarithm goes half of the way.
    mean, log, expected, measured = 0.0, 0.0, [], [0, *range(1, 16, 2)]
    for n, (share, factor) in enumerate(zip(shares, factors)):
        log += (math.log(0.3 / 0.7) - mean - log) / 2 if n >= 3 else 0
        expected.append(math.exp(log))
        if n in measured:
            ratio = math.log(share / (1 - share) / factor)
            mean += max(1 / (measured.index(n) + 1), 0.5) * (ratio - mean)
    assert factors == pytest.approx(expected, rel=1e-3)
    assert 0.15 < sum(shares[-2:]) / 2 < 0.45


def test_two_losses_and_a_share_for_each(distillation, distiller_config):
    kd = distiller_config('kd')
    more = {
        f'model.distiller.{part}.{name}': value
        for part in ('distill_losses', 'loss_forward_mappings')
        for name, value in kd[part].items()
    }
    (name,) = kd.distill_losses
    runner, _ = run(
        distillation, 14, more=more, target={name: 0.2, 'loss_tat': 0.4}, warmup=0, momentum=0.5
    )
    of_kd, of_tat = (runner.model.loss_gradients[record] for record in ('logits', 'feature'))
    # Each at the record that it reads, beside the labels alone.
    assert 0.5 < of_kd[name].norm / of_kd['task'].norm / (0.2 / 0.8) < 2
    assert 0.5 < of_tat['loss_tat'].norm / of_tat['task'].norm / (0.4 / 0.6) < 2


def test_a_resumed_run_goes_on_as_it_was(distillation):
    settings = dict(target=0.3, warmup=4, momentum=0.5)
    whole = run(distillation, 9, 'whole', **settings)[1]
    for stop in (3, 4, 5):
        run(distillation, stop, f'part{stop}', **settings)
        rest = run(distillation, 9, f'part{stop}', resume=True, **settings)[1]
        factors = [[line['balance/tat'] for line in lines] for lines in (whole[stop:], rest)]
        assert factors[0] == factors[1] and factors[0][-1] != 1.0


def test_bounds_and_a_schedule_on_top(distillation):
    schedule = dict(type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(stop=4)))
    runner, lines = run(
        distillation,
        6,
        more={'default_hooks.loss_schedule': schedule},
        target=0.9999,
        warmup=1,
        bounds=(0.5, 2.0),
    )
    assert 1 < lines[3]['balance/tat'] < lines[5]['balance/tat'] <= 2.0
    assert runner.model.distiller.factor('loss_tat') == 0 and lines[5]['distill.loss_tat'] == 0


def hooked(cosine: float, norm: float = 2.0):
    """A hook, and a runner of a model that measured this."""
    gradients = dict(
        task=SimpleNamespace(norm=1.0, share=0.3, cosine=1.0),
        loss_a=SimpleNamespace(norm=norm, share=0.7, cosine=cosine),
    )
    distiller = SimpleNamespace(
        loss_forward_mappings=dict(loss_a=dict(s=dict(recorder='x', from_student=True))),
        balance_factors={},
        factor=lambda name: distiller.balance_factors.get(name, 1.0),
        read_of_student=lambda name: SharedConnectorDistiller.read_of_student(distiller, name),
    )
    model = nn.Module()
    model.distiller, model.calculate_student_loss = distiller, True
    model.loss_gradients = dict(x=gradients)
    said, info = [], {}
    hub = SimpleNamespace(
        update_scalar=lambda *_: None, update_info=info.__setitem__, get_info=info.get
    )
    logger = SimpleNamespace(warning=said.append)
    return SimpleNamespace(
        model=model, iter=0, _resume=False, message_hub=hub, logger=logger, said=said
    )


@pytest.mark.parametrize('cosine', [-0.4, 0.4])
def test_a_loss_that_opposes_the_labels_for_long_is_named(cosine):
    runner, hook = hooked(cosine), GradientBalanceHook(0.5, interval=1, warmup=0)
    hook.before_train(runner)
    for runner.iter in range(12):
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
    # A norm of 2 beside one of 1, where both should be alike; measured with the factor in it.
    assert runner.model.distiller.balance_factors['loss_a'] < 0.5
    assert len(runner.said) == (cosine < 0)
    if cosine < 0:
        assert (
            'iteration 10: the gradient of loss_a has opposed that of the labels' in runner.said[0]
        )


def test_a_share_beyond_the_bounds_is_named_once():
    runner, hook = hooked(0.4), GradientBalanceHook(0.5, interval=1, warmup=0, bounds=(0.8, 2))
    hook.before_train(runner)
    for runner.iter in range(5):
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
    assert runner.model.distiller.balance_factors['loss_a'] == pytest.approx(0.8)
    (said,) = runner.said
    assert 'for its share loss_a needs a factor of 0.5, beyond bounds=(0.8, 2)' in said


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(target=1), r'target must be a share .* got 1'),
        (dict(target=dict(loss_a=1.0)), 'target must be a share'),
        (dict(target={}), 'target must be a share'),
        (dict(target=True), 'target must be a share'),
        (dict(interval=0), 'interval must be a positive integer'),
        (dict(warmup=-1), 'warmup must be an integer of at least 0, got -1'),
        (dict(momentum=1), 'momentum must be a number from 0 to below 1, got 1'),
        (dict(bounds=(2, 3)), 'bounds must be two numbers above 0'),
        (dict(bounds=('a', 'b')), 'bounds must be two numbers above 0'),
    ],
)
def test_settings_are_checked_when_it_is_built(settings, message):
    with pytest.raises(ValueError, match=message):
        GradientBalanceHook(**settings)


def test_what_cannot_be_balanced():
    runner = hooked(0.1)
    with pytest.raises(ValueError, match=r"target\['loss_b'\] is no distillation loss .*loss_a"):
        GradientBalanceHook(dict(loss_b=0.5)).before_train(runner)
    runner.model.calculate_student_loss = False
    with pytest.raises(ValueError, match='calculate_student_loss is False'):
        GradientBalanceHook().before_train(runner)
    runner.model = torch.nn.Module()
    with pytest.raises(
        ValueError, match='GradientBalanceHook: a Module has no distillation losses'
    ):
        GradientBalanceHook().before_train(runner)


def test_losses_of_one_record_share_the_target():
    runner = hooked(0.1)
    runner.model.distiller.loss_forward_mappings.update(
        loss_b=dict(s=dict(recorder='x', from_student=True)),
        loss_c=dict(s=dict(recorder='y', from_student=True)),
    )
    hook = GradientBalanceHook(0.6)
    hook.before_train(runner)
    assert hook.wished == pytest.approx(dict(loss_a=0.75, loss_b=0.75, loss_c=1.5))
    with pytest.raises(ValueError, match='below 1 for all losses together that read the same'):
        GradientBalanceHook(dict(loss_a=0.6, loss_b=0.5)).before_train(runner)
