"""Loss schedules and gradient shares in a run, and a run that goes on."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmrazor_tat.engine.hooks import GradientShareHook, LossScheduleHook

SCHEDULE = dict(
    type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(warmup=4, decay=(4, 8), stop=6))
)


def logged(runner) -> list[dict]:
    path = Path(runner.log_dir) / 'vis_data/scalars.json'
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if 'distill.loss_tat' in line]


def test_factors_by_iteration_and_after_resuming(distillation):
    def values(runner):
        """Each iteration's weighted and bare loss."""
        seen = []
        distiller = runner.model.distiller
        compute = distiller.compute_loss

        def compute_and_note(name):
            value = compute(name)
            seen.append(value.item())
            return value

        distiller.compute_loss = compute_and_note
        runner.train()
        lines = logged(runner)
        return [line['distill.loss_tat'] for line in lines], seen, lines

    settings = {'default_hooks.loss_schedule': SCHEDULE, 'log_processor.window_size': 1}
    weighted, bare, lines = values(distillation(7, **settings))
    factors = [0.25, 0.5, 0.75, 1.0, 1.0, 0.75]
    assert weighted[:6] == pytest.approx([f * x for f, x in zip(factors, bare)], rel=1e-4)
    assert weighted[6] == 0 and len(bare) == 6
    assert lines[6]['distill.tat_patch'] == lines[6]['distill.tat_anchor'] == 0
    assert [line['factor/tat'] for line in lines] == pytest.approx([*factors, 0.0])
    assert lines[1]['distill.tat_patch'] + lines[1]['distill.tat_anchor'] == pytest.approx(
        weighted[1], rel=1e-4
    )

    distillation(3, 'part', **settings).train()
    second = distillation(7, 'part', resume=True, **settings)
    _, _, lines = values(second)
    assert [line['factor/tat'] for line in lines] == pytest.approx([*factors[3:], 0.0])


def test_a_stopped_loss_leaves_the_teacher_alone(distillation):
    schedule = dict(type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(stop=1)))
    runner = distillation(3, **{'default_hooks.loss_schedule': schedule})
    calls = []
    runner.model.teacher.backbone.register_forward_hook(lambda *_: calls.append(runner.iter))
    runner.train()
    assert [call for call in calls if call < 3] == [0]


@pytest.mark.parametrize(
    ('schedules', 'message'),
    [
        (dict(loss_tat=dict(warmup=-3)), r"schedules\['loss_tat'\] = .*: warmup must be a number"),
        (dict(loss_tat=1000), r"schedules\['loss_tat'\] = 1000"),
        (dict(loss_tat=dict(warm=3)), r"schedules\['loss_tat'\] = .*unexpected keyword .*'warm'"),
    ],
)
def test_settings_are_checked_when_it_is_built(schedules, message):
    with pytest.raises(ValueError, match=message):
        LossScheduleHook(schedules)


def test_what_there_is_nothing_of(distillation):
    with pytest.raises(ValueError, match='interval must be a positive integer, got 0'):
        GradientShareHook(0)
    with pytest.raises(ValueError, match='a Module has no distillation losses to compare'):
        GradientShareHook().before_train(SimpleNamespace(model=nn.Module()))
    schedule = dict(type='mmrazor.LossScheduleHook', schedules=dict(loss_tta=dict(stop=1)))
    runner = distillation(1, **{'default_hooks.loss_schedule': schedule})
    message = r"schedules\['loss_tta'\] is no distillation loss of this model; nearest: 'loss_tat'"
    with pytest.raises(ValueError, match=message):
        runner.train()


def test_shares_are_logged_every_k_iterations(distillation):
    hook = dict(type='mmrazor.GradientShareHook', interval=2)
    runner = distillation(5, **{'default_hooks.gradient_share': hook})
    runner.train()
    history = runner.message_hub.get_scalar('train/grad_share/feature/tat')._log_history
    assert len(history) == 3 and (history > 0).all()  # iterations 1, 2 and 4
    # As logged, with mmengine's means over a window of ten: of shares there are none.
    for line, share in zip(logged(runner), history[[0, 1, 1, 2, 2]]):
        assert line['grad_share/feature/tat'] == pytest.approx(share)
        assert line['grad_share/feature/task'] == pytest.approx(1 - share)


def test_measuring_changes_nothing(distillation):
    hook = dict(type='mmrazor.GradientShareHook', interval=1)
    weights = []
    for name, settings in dict(without={}, with_it={'default_hooks.gradient_share': hook}).items():
        runner = distillation(2, name, **settings)
        runner.train()
        weights.append(runner.model.student.state_dict())
    for name, x in weights[0].items():
        # Adam's first steps divide by the gradient itself: compare loosely what is tiny.
        torch.testing.assert_close(weights[1][name], x, rtol=1e-3, atol=1e-4)
