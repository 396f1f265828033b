"""NaN and infinity end a run by name, and are in no checkpoint."""

import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmrazor_tat.engine.hooks import FiniteLossHook
from mmrazor_tat.engine.runner.guards import GUARDS, add_run_guards, drop_guard


@pytest.fixture
def runner(tmp_path):
    return SimpleNamespace(
        iter=41,
        hooks=[],
        work_dir=str(tmp_path),
        model=nn.BatchNorm2d(3),
        timestamp=time.strftime('%Y%m%d_%H%M%S'),
        _resume=False,
    )


def after(runner, **outputs) -> None:
    FiniteLossHook().after_train_iter(runner, 0, None, outputs)


def test_finite_losses_pass(runner):
    after(runner, loss=torch.tensor(3.0), acc=torch.tensor(math.nan))
    after(runner)
    FiniteLossHook().after_train_iter(runner, 0, None, None)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_the_loss_and_the_iteration_are_named(runner, tmp_path, value):
    torch.save({}, tmp_path / 'iter_40.pth')
    outputs = {
        'loss': torch.tensor(value),
        'student.decode.loss_ce': torch.tensor(1.0),
        'distill.loss_tat': torch.tensor([1.0, value]),
    }
    with pytest.raises(FloatingPointError) as error:
        after(runner, **outputs)
    text = str(error.value)
    assert text.startswith(f'iteration 42: distill.loss_tat is {value} (student.decode.loss_ce fin')
    assert f'last good checkpoint is {tmp_path / "iter_40.pth"}' in text
    assert '--allow-nonfinite' in text and '\n' not in text


def test_a_total_alone_is_named(runner, tmp_path):
    torch.save({}, tmp_path / 'iter_99.pth')
    os.utime(tmp_path / 'iter_99.pth', (1, 1))  # of an earlier run
    with pytest.raises(FloatingPointError, match='42: loss is nan. There is no checkpoint yet'):
        after(runner, loss=math.nan)


@pytest.mark.parametrize('name', ['weight', 'running_var'])
def test_spoilt_weights_are_not_saved(runner, name):
    hook = FiniteLossHook()
    weights = runner.model.state_dict()
    weights['memory'] = torch.tensor(-math.inf)  # of a loss: not yet known
    hook.before_save_checkpoint(runner, dict(state_dict=weights))
    weights[name] = torch.tensor([1.0, math.nan, 2.0])
    with pytest.raises(FloatingPointError, match=f'42: {name} hold NaN or inf.*no checkpoint is'):
        hook.before_save_checkpoint(runner, dict(state_dict=weights))


def steps(runner, values: dict[int, float]) -> None:
    """Add a value to the TaT loss of an iteration."""
    loss = runner.model.distiller.distill_losses['loss_tat']
    forward = loss.forward

    def steered(*args, **kwargs):
        return forward(*args, **kwargs) + values.get(runner.iter + 1, 0.0)

    loss.forward = steered


def test_the_last_good_checkpoint_stays(distillation):
    """With a checkpoint after every iteration, of which one is kept."""
    settings = {
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'custom_hooks': [dict(type='mmrazor.FiniteLossHook')],
    }
    runner = distillation(4, **settings)
    steps(runner, {3: math.nan})
    with pytest.raises(FloatingPointError, match=r'iteration 3: distill.*is nan.*iter_2.pth'):
        runner.train()
    (path,) = Path(runner.work_dir).glob('*.pth')
    assert path.name == 'iter_2.pth'
    weights = torch.load(path, weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    (log,) = Path(runner.work_dir).rglob('scalars.json')
    assert len(log.read_text().splitlines()) == 2 and 'NaN' not in log.read_text()


def test_opting_out(distillation):
    runner = distillation(3, custom_hooks=[])
    steps(runner, {2: math.nan})
    runner.train()
    assert (Path(runner.work_dir) / 'iter_3.pth').exists()


def test_guards_are_added_once_and_dropped():
    from mmengine import Config

    cfg = Config(dict(custom_hooks=[dict(_scope_='mmrazor', type='SafeCheckpointHook')]))
    add_run_guards(cfg)
    names = [hook['type'].split('.')[-1] for hook in cfg.custom_hooks]
    assert sorted(names) == sorted(GUARDS)
    add_run_guards(cfg)
    assert len(cfg.custom_hooks) == len(GUARDS)
    drop_guard(cfg, 'FiniteLossHook')
    assert len(cfg.custom_hooks) == len(GUARDS) - 1
    drop_guard(cfg, 'ExactResumeHook')
    cfg.custom_hooks = [dict(type=FiniteLossHook)]
    add_run_guards(cfg)
    assert len(cfg.custom_hooks) == len(GUARDS)
    kept = Config(
        dict(custom_hooks=None, default_hooks=dict(a=dict(type='mmrazor.ExactResumeHook'), b=None))
    )
    add_run_guards(kept)
    assert 'mmrazor.ExactResumeHook' not in [hook['type'] for hook in kept.custom_hooks]
