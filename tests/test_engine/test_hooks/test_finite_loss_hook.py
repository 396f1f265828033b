"""NaN and infinity end a run by name, and are in no checkpoint."""

import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine import Config
from torch import nn

from mmrazor_tat.engine.hooks import FiniteLossHook
from mmrazor_tat.engine.runner.guarded_runner import GUARDS, add_guards, drop_guard


@pytest.fixture
def runner(tmp_path):
    start = dict(timestamp=time.strftime('%Y%m%d_%H%M%S'), _resume=False)
    of = dict(iter=41, hooks=[], work_dir=str(tmp_path), model=nn.BatchNorm2d(3))
    return SimpleNamespace(**of, **start)


def after(runner, **outputs) -> None:
    FiniteLossHook().after_train_iter(runner, 0, None, outputs)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_the_loss_and_the_iteration_are_named(runner, tmp_path, value):
    torch.save({}, tmp_path / 'iter_40.pth')
    after(runner, loss=torch.tensor(3.0), acc=torch.tensor(math.nan))  # which is no loss
    after(runner)
    FiniteLossHook().after_train_iter(runner, 0, None, None)
    outputs = {'loss': torch.tensor(value), 'student.decode.loss_ce': torch.tensor(1.0)}
    outputs['distill.loss_tat'] = torch.tensor([1.0, value])
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
    # Of an epoch's end, or a best score: the runner has counted the iteration already.
    checkpoint = dict(state_dict=weights, meta=dict(iter=7))
    message = f'iteration 7: {name} hold NaN or inf.*no checkpoint is'
    with pytest.raises(FloatingPointError, match=message):
        hook.before_save_checkpoint(runner, checkpoint)


def steps(runner, values: dict[int, float]) -> None:
    """Add a value to the TaT loss of an iteration."""
    loss = runner.model.distiller.distill_losses['loss_tat']
    forward = loss.forward

    def steered(*args, **kwargs):
        return forward(*args, **kwargs) + values.get(runner.iter + 1, 0.0)

    loss.forward = steered


def test_the_last_good_checkpoint_stays(distillation):
    """With a checkpoint after every iteration, of which one is kept."""
    runner = distillation(4, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    steps(runner, {3: math.nan})
    with pytest.raises(FloatingPointError, match=r'iteration 3: distill.*is nan.*iter_2.pth'):
        runner.train()
    (path,) = Path(runner.work_dir).glob('*.pth')
    assert path.name == 'iter_2.pth'
    weights = torch.load(path, weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    (log,) = Path(runner.work_dir).rglob('scalars.json')
    assert len(log.read_text().splitlines()) == 2 and 'NaN' not in log.read_text()


def test_guards_are_added_once_and_dropped():
    def names(cfg) -> list[str]:
        """By name, as mmengine's registries have them."""
        hooks = [*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or [])]
        kinds = [hook['type'] for hook in hooks if hook]
        return sorted(getattr(k, '__name__', str(k)).split('.')[-1] for k in kinds)

    cfg = Config(dict(custom_hooks=[dict(_scope_='mmrazor', type='SafeCheckpointHook')]))
    add_guards(cfg)
    assert names(cfg) == sorted(GUARDS.values()) and len(cfg.custom_hooks) == 1
    add_guards(cfg)
    assert names(cfg) == sorted(GUARDS.values())
    drop_guard(cfg, 'FiniteLossHook')
    assert names(cfg) == sorted({*GUARDS.values()} - {'FiniteLossHook'})
    drop_guard(cfg, 'SafeCheckpointHook')
    assert cfg.custom_hooks == []
    cfg.custom_hooks = [dict(type=FiniteLossHook)]
    add_guards(cfg)
    assert names(cfg) == sorted(GUARDS.values())
    hooks = dict(a=dict(type='mmrazor.ExactResumeHook'), b=None)
    kept = Config(dict(custom_hooks=None, default_hooks=hooks))
    add_guards(kept)
    assert names(kept) == sorted(GUARDS.values()) and 'exact_resume' not in kept.default_hooks


def test_a_list_of_hooks_of_one_s_own_replaces_none(repo, tmp_path):
    """With mmseg's tools as well, which know no guards."""
    base = repo / 'configs/tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'
    own = f"_base_ = '{base}'\ncustom_hooks = [dict(type='EMAHook')]\n"
    (tmp_path / 'own.py').write_text(own)
    hooks = Config.fromfile(tmp_path / 'own.py').default_hooks
    assert {f'mmrazor.{guard}' for guard in GUARDS.values()} <= {h['type'] for h in hooks.values()}
