"""What a work dir tells of its run."""

import json

import pytest
import torch

from mmrazor_tat.models.teacher.identity import KEY, TeacherIdentity
from mmrazor_tat.utils import work_dir as text_log
from mmrazor_tat.visualization.report.summary import Metric, RunSummary, summarize_run

TEXT = """\
2026/01/01 10:00:00 - mmengine - INFO -{space}
------------------------------------------------------------
System environment:
    sys.platform: linux
    GPU 0: NVIDIA H100: 80GB
    PyTorch: 2.1.0
    PyTorch compiling details: PyTorch built with:
  - GCC 9.3
  - Build settings: A=1, B=2

    MMEngine: 0.10.7

Runtime environment:
    seed: {seed}
    Distributed launcher: none
------------------------------------------------------------

2026/01/01 10:00:01 - mmengine - INFO - Config:
model = dict(
    type: 'no setting')
{told}
2026/01/01 10:01:30 - mmengine - INFO - Iter(train) [50/1000]  loss: 1.0
"""
CONFIG = """\
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000)
default_hooks = dict(logger=dict(type='LoggerHook', interval=50))
custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)
"""


@pytest.fixture
def start(tmp_path):
    """A function that writes what one start leaves in a work dir."""

    def start(name: str, *lines: dict, text: str = '', config: str = '') -> None:
        folder = tmp_path / 'run' / name
        (folder / 'vis_data').mkdir(parents=True)
        if lines:
            log = ''.join(json.dumps(line) + '\n' for line in lines)
            (folder / 'vis_data/scalars.json').write_text(log)
        if text:
            (folder / f'{name}.log').write_text(text)
        if config:
            (folder / 'vis_data/config.py').write_text(config)

    return start


@pytest.fixture
def work_dir(start, tmp_path):
    """Killed after 100 of 1000 iterations, resumed at 50, and tested once."""
    log = TEXT.format(space=' ', seed=1, told='')
    lines = [train(50, memory=700, time=0.5), dict(mIoU=8.0, aAcc=50.0, step=50)]
    start('20260101_100000', *lines, train(100, time=0.5), text=log, config=CONFIG)
    told = '2026/01/01 10:00:09 - mmengine - INFO - resumed epoch: 0, iter: 50'
    log = TEXT.format(space=' ', seed=2, told=told)
    lines = [train(100, 2.0, memory=600, time=1.0), dict(mIoU=30.0, aAcc=70.0, step=100)]
    lines += [train(150, time=0.1), dict(mIoU=20.0, aAcc=70.0, step=150)]
    start('20260102_100000', *lines, text=log, config=CONFIG)
    start('20260103_100000', text=TEXT.format(space=' ', seed=3, told=''), config='max_iters = 7')
    folder = tmp_path / 'run'
    (folder / 'recipe.py').write_text('a = 1\n')
    identity = TeacherIdentity('teacher.pth', 'ab' * 32)
    content = dict(meta=dict(mmengine_version='0.9.9'), state_dict={KEY: identity.to_tensor()})
    for name in ('iter_50', 'iter_150', 'best_mIoU_iter_100', 'best_mIoU_iter_50'):
        torch.save(content, folder / f'{name}.pth')
    (folder / 'iter_200.pth').write_bytes(b'PK cut off')
    return folder


def train(step: int, loss: float = 1.0, **more) -> dict:
    return dict(loss=loss, lr=0.1, iter=step, step=step, **more)


def test_all_of_a_killed_and_resumed_run(work_dir):
    summary = summarize_run(work_dir)
    environment = {
        'sys.platform': 'linux',
        'GPU 0': 'NVIDIA H100: 80GB',
        'PyTorch': '2.1.0',
        'PyTorch compiling details': 'PyTorch built with:\n- GCC 9.3\n- Build settings: A=1, B=2',
        'MMEngine': '0.10.7',
        'seed': '2',
        'Distributed launcher': 'none',
    }
    assert summary == RunSummary(
        folder=work_dir,
        config=work_dir / 'recipe.py',
        last_config=work_dir / '20260102_100000/vis_data/config.py',
        environment=environment,
        versions=dict(torch='2.1.0', mmengine='0.10.7'),
        resumed=1,
        iterations=150,
        max_iterations=1000,
        training_seconds=50 * (0.5 + 0.5 + 1.0 + 0.1),
        gpu_mib=700,
        diverged_at=None,
        metrics=dict(mIoU=Metric(20.0, 150, 30.0, 100), aAcc=Metric(70.0, 150, 70.0, 100)),
        last_checkpoint=work_dir / 'iter_150.pth',
        best_checkpoint=work_dir / 'best_mIoU_iter_100.pth',
        teacher=TeacherIdentity('teacher.pth', 'ab' * 32),
        notes=[],
    )


def test_without_a_text_log_the_interval_tells_of_a_resume(start, tmp_path):
    start('1', train(50), train(100), config=CONFIG)
    start('2', train(100, float('nan')), config=CONFIG)
    summary = summarize_run(tmp_path / 'run')
    assert (summary.resumed, summary.diverged_at) == (1, 100)
    assert summary.environment == summary.versions == summary.metrics == {}
    assert summary.training_seconds is summary.teacher is None
    assert summary.last_checkpoint is summary.best_checkpoint is summary.config is None


def test_epochs(start, tmp_path):
    lines = train(4, epoch=1, time=1.0), train(8, epoch=1, time=1.0), dict(mIoU=5.0, step=1)
    config = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)"
    start('1', *lines, train(14, epoch=2), dict(mIoU=6.0, step=2), config=config)
    summary = summarize_run(tmp_path / 'run')
    assert (summary.iterations, summary.max_iterations) == (20, 30)
    assert summary.metrics == dict(mIoU=Metric(6.0, 20, 6.0, 20))
    assert summary.training_seconds == 8.0 and summary.resumed == 0


def test_the_record_of_a_suite_tells_versions(start, tmp_path):
    start('1', train(50))
    versions = dict(torch='2.2', mmseg='1.2.2', mmcv=None)
    (tmp_path / 'run/run.json').write_text(json.dumps(dict(versions=versions)))
    torch.save(
        dict(state_dict={}, meta=dict(mmengine_version='0.10.7' + '0a' * 20)),
        tmp_path / 'run/iter_60.pth',
    )
    summary = summarize_run(tmp_path / 'run')
    assert summary.versions == dict(mmengine='0.10.7', torch='2.2', mmseg='1.2.2')
    assert summary.iterations == 60  # later than the last line


def test_what_cannot_be_read_is_noted(start, tmp_path):
    start('1', train(50), config='train_cfg = dict(')
    torch.save(dict(state_dict={}, hook=pytest.fixture), tmp_path / 'run/iter_50.pth')
    config, checkpoint = summarize_run(tmp_path / 'run').notes
    assert 'vis_data/config.py cannot be read' in config
    assert 'iter_50.pth' in checkpoint and 'holds pickled code besides weights' in checkpoint


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match='is no work dir of a run'):
        summarize_run(tmp_path)


def test_a_text_without_an_environment():
    assert text_log.environment('2026/01/01 10:00:00 - mmengine - INFO - x\n    a: b\n') == {}
    assert text_log.resumed_at('Auto resumed from the latest checkpoint None.') is None


def test_a_real_run_that_is_resumed(distillation):
    runner = distillation(2, log_level='INFO')
    runner.train()
    work_dir = runner.work_dir
    runner = distillation(3, log_level='INFO', resume=True)
    runner.train()
    summary = summarize_run(work_dir)
    assert summary.resumed == 1
    assert summary.iterations == summary.max_iterations == 3
    assert summary.environment['PyTorch'] == summary.versions['torch'] == torch.__version__
    assert summary.environment['Distributed launcher'] == 'none'
    assert list(summary.metrics) == ['aAcc', 'mIoU', 'mAcc']
    assert summary.metrics['mIoU'].last_iteration == 3
    assert summary.last_checkpoint.name == 'iter_3.pth'
    teacher = TeacherIdentity.of(runner.model.teacher, runner.cfg.model.teacher_ckpt)
    assert summary.teacher == teacher
    assert summary.training_seconds > 0
    assert summary.last_config.parent.parent.name == runner.timestamp
    assert summary.notes == []
