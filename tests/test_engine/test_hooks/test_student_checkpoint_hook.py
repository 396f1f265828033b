"""Checkpoints of the student alone, written while it is trained."""

from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mmrazor_tat import config_path
from mmrazor_tat.engine.hooks import StudentCheckpointHook


def hook(**settings) -> dict:
    return {
        'default_hooks.student_checkpoint': dict(type='mmrazor.StudentCheckpointHook', **settings)
    }


def load(runner: Runner, name: str) -> dict:
    """With nothing but safe content allowed."""
    return torch.load(Path(runner.work_dir) / 'student' / name, weights_only=True)


def names(runner: Runner) -> set[str]:
    return {path.name for path in (Path(runner.work_dir) / 'student').iterdir()}


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def steer(runner: Runner, values: dict[int, float]) -> None:
    """Have the validation after an iteration find a given mIoU."""
    evaluate = runner.val_loop.evaluator.evaluate

    def steered(size):
        return {**evaluate(size), 'mIoU': values[runner.iter]}

    runner.val_loop.evaluator.evaluate = steered


def test_files_weights_and_what_init_model_makes_of_them(distillation):
    """The averaged weights, where there are such."""
    from mmseg.apis import init_model

    ema = dict(type='EMAHook', momentum=0.4)
    runner = distillation(3, custom_hooks=[ema], **hook(interval=2, save_best='mIoU'))
    runner.train()
    assert names(runner) == {'student.py', 'student_iter_3.pth', 'student_best.pth'}
    checkpoint = load(runner, 'student_iter_3.pth')
    assert checkpoint.keys() == {'meta', 'state_dict'}
    hooks = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    student = hooks[0].ema_model.module.architecture.state_dict()
    name = 'decode_head.conv_seg.weight'
    assert not torch.equal(student[name], runner.model.architecture.state_dict()[name])
    assert equal(checkpoint['state_dict'], student)
    meta = checkpoint['meta']
    assert (meta['iter'], meta['epoch']) == (3, 0)
    assert meta['dataset_meta']['classes'][:2] == ['background', 'disc']
    assert meta['dataset_meta']['palette'][1] == [220, 60, 50]
    folder = Path(runner.work_dir) / 'student'
    text = (folder / 'student.py').read_text()
    assert meta['cfg'] == text and 'mmrazor' not in text and 'teacher' not in text
    model = init_model(str(folder / 'student.py'), str(folder / 'student_best.pth'), device='cpu')
    assert equal(model.state_dict(), student)
    assert model.dataset_meta['classes'][-1] == 'checked_square'
    best = load(runner, 'student_best.pth')['meta']
    assert best['save_best'] == 'mIoU' and best['metrics'].keys() >= {'mIoU', 'aAcc'}


def test_the_newest_and_the_best_stay_and_a_resumed_run_knows_the_best(distillation):
    settings = hook(interval=1, save_best='mIoU', max_keep=2) | {'train_cfg.val_interval': 1}

    def train(until: int, values: dict[int, float], **more) -> tuple[Runner, dict]:
        """The runner and its best student, where validations find these values."""
        runner = distillation(until, 'run', **settings, **more)
        steer(runner, values)
        runner.train()
        return runner, load(runner, 'student_best.pth')

    runner, best = train(3, {1: 10.0, 2: 30.0, 3: 20.0})
    kept = {'student_iter_2.pth', 'student_iter_3.pth'}
    assert names(runner) == {'student.py', 'student_best.pth'} | kept
    assert best['meta']['iter'] == 2 and best['meta']['metrics']['mIoU'] == 30.0
    assert equal(best['state_dict'], load(runner, 'student_iter_2.pth')['state_dict'])
    runner, best = train(4, {3: 20.0, 4: 29.0}, resume=True)  # that of 3 is done again
    assert best['meta']['iter'] == 2
    assert {'student_iter_3.pth', 'student_iter_4.pth'} == {n for n in names(runner) if 'iter' in n}
    # The value of the last validation, which no checkpoint of the run knows.
    assert train(5, {4: 29.0, 5: 31.0}, resume=True)[1]['meta']['iter'] == 5
    assert train(6, {5: 31.0, 6: 30.5}, resume=True)[1]['meta']['iter'] == 5
    assert train(2, {1: 5.0, 2: 4.0})[1]['meta']['metrics']['mIoU'] == 5.0  # begun anew


def test_by_epoch_of_a_plain_model_in_another_folder(toy_voc, tmp_path):
    cfg = Config.fromfile(config_path('small/demo/student.py'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(toy_voc)
    cfg.train_dataloader.sampler.type = 'DefaultSampler'
    cfg.train_dataloader.batch_size = 6
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=9)
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.student_checkpoint = dict(
        type='mmrazor.StudentCheckpointHook', interval=2, max_keep=-1, out_dir=str(tmp_path / 'out')
    )
    cfg.log_processor.by_epoch = True
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), tmp_path.name
    cfg.visualizer.name, cfg.log_level = tmp_path.name, 'ERROR'
    runner = Runner.from_cfg(cfg)
    runner.train()
    files = {'student.py', 'student_epoch_2.pth', 'student_epoch_3.pth'}
    assert {path.name for path in (tmp_path / 'out').iterdir()} == files
    second, third = (
        torch.load(tmp_path / f'out/student_epoch_{n}.pth', weights_only=True) for n in (2, 3)
    )
    assert (second['meta']['epoch'], second['meta']['iter']) == (2, 4)
    assert equal(third['state_dict'], runner.model.state_dict())
    assert not equal(second['state_dict'], third['state_dict'])
    assert Config.fromfile(tmp_path / 'out/student.py').default_hooks.checkpoint is None


def test_arguments():
    with pytest.raises(ValueError, match='StudentCheckpointHook: nothing to write: set interval'):
        StudentCheckpointHook()
    with pytest.raises(ValueError, match='rule'):  # mmengine's
        StudentCheckpointHook(save_best='sharpness')
    is_better = StudentCheckpointHook(save_best='mIoU')._is_better
    assert is_better(2, 1) and not is_better(1, 1)
    assert StudentCheckpointHook(save_best='sharpness', rule='less')._is_better(1, 2)


def test_a_metric_that_is_not_there_and_a_config_that_cannot_be_cleaned(distillation, caplog):
    runner = distillation(1, **hook(save_best='mDice'), log_level='WARNING')
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert "save_best='mDice', but the validation gives aAcc, mIoU" in caplog.text
    assert names(runner) == {'student.py'}
    without = dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator'))
    runner = distillation(1, 'blind', **without, **hook(save_best='mIoU'))
    with pytest.raises(ValueError, match="save_best='mIoU', but the config has no validation"):
        runner.train()
    transform = dict(type='mmrazor.SquashToSize', scale=(64, 64))
    runner = distillation(1, 'squashed', **hook(interval=1))
    runner.cfg.test_dataloader.dataset.pipeline.insert(1, transform)
    with pytest.raises(ValueError, match="SquashToSize' is needed"):
        runner.train()
    assert runner.iter == 0 and not (Path(runner.work_dir) / 'student').exists()
