"""What a work dir tells of its run."""

import json

import pytest
import torch

from mmrazor_tat.models.teacher.identity import KEY, TeacherIdentity
from mmrazor_tat.visualization.curves import read_run
from mmrazor_tat.visualization.report.summary import Metric, summarize

CONFIG = """\
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000)
custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)
"""


@pytest.fixture
def start(tmp_path):
    """A function that writes what one start leaves in a work dir."""

    def start(name: str, *lines: dict, config: str = '') -> None:
        folder = tmp_path / 'run' / name / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
        if config:
            (folder / 'config.py').write_text(config)

    return start


@pytest.fixture
def summary(tmp_path):
    return lambda: summarize(read_run(tmp_path / 'run'))


def train(step: int, loss: float = 1.0, **more) -> dict:
    return dict(loss=loss, lr=0.1, iter=step, step=step, **more)


def test_all_of_a_killed_and_resumed_run(start, summary, tmp_path):
    """Killed after 100 of 1000 iterations, resumed at 50, and tested once."""
    lines = train(50, memory=700), dict(mIoU=8.0, aAcc=50.0, step=50), train(100)
    start('20260101_100000', *lines, config=CONFIG)
    lines = train(100, 2.0, memory=600), dict(mIoU=30.0, aAcc=70.0, step=100)
    lines += train(150), dict(mIoU=20.0, aAcc=70.0, step=150)
    start('20260102_100000', *lines, config=CONFIG)
    start('20260103_100000', dict(mIoU=20.0, step=0), config='max_iters = 7')
    folder = tmp_path / 'run'
    identity = TeacherIdentity('teacher.pth', 'ab' * 32)
    info = dict(versions=dict(torch='2.1.0', mmcv=None), labels='labels hold 0 to 20')
    content = dict(message_hub=dict(runtime_info=info), state_dict={KEY: identity.to_tensor()})
    for name in ('iter_50', 'iter_150', 'best_mIoU_iter_100', 'best_mIoU_iter_50'):
        torch.save(content, folder / f'{name}.pth')
    (folder / 'iter_200.pth').write_bytes(b'PK cut off')
    found = summary()
    assert found.config == folder / '20260102_100000/vis_data/config.py'
    assert found.versions == dict(torch='2.1.0')
    assert (found.iterations, found.max_iterations) == (150, 1000)
    assert (found.gpu_mib, found.diverged_at) == (700, None)
    assert found.metrics == dict(mIoU=Metric(20.0, 30.0, 100), aAcc=Metric(70.0, 70.0, 100))
    assert found.checkpoint == folder / 'best_mIoU_iter_100.pth'
    assert found.teacher == identity and found.notes == ['run: labels hold 0 to 20']


def test_epochs_and_a_loss_that_is_no_number(start, summary):
    lines = train(4, epoch=1), train(8, epoch=1), dict(mIoU=5.0, step=1)
    config = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)"
    nan = train(14, float('nan'), epoch=2)
    start('1', *lines, nan, dict(mIoU=6.0, step=2), config=config)
    found = summary()
    assert (found.iterations, found.max_iterations, found.diverged_at) == (20, None, 14)
    assert found.metrics == dict(mIoU=Metric(6.0, 6.0, 20))
    assert found.teacher is found.checkpoint is found.gpu_mib is None and found.versions == {}


def test_what_cannot_be_read_is_noted(start, summary, tmp_path):
    start('1', train(50), config='train_cfg = dict(')
    torch.save(dict(state_dict={}), tmp_path / 'run/iter_60.pth')
    # The record of a suite tells the versions.
    versions = dict(torch='2.2', mmseg='1.2.2', mmcv=None)
    (tmp_path / 'run/run.json').write_text(json.dumps(dict(versions=versions)))
    found = summary()
    assert found.versions == dict(torch='2.2', mmseg='1.2.2')
    assert found.iterations == 60  # later than the last line
    torch.save(dict(state_dict={}, hook=pytest.fixture), tmp_path / 'run/iter_60.pth')
    config, checkpoint = summary().notes
    assert 'vis_data/config.py cannot be read' in config
    assert 'iter_60.pth' in checkpoint and 'holds pickled code besides weights' in checkpoint


def test_a_real_run_that_is_resumed(distillation):
    for iterations, resume in ((2, False), (3, True)):
        runner = distillation(iterations, resume=resume)
        runner.train()
    found = summarize(read_run(runner.work_dir))
    assert found.iterations == found.max_iterations == 3
    assert list(found.metrics) == ['aAcc', 'mIoU', 'mAcc']
    assert found.checkpoint.name == 'iter_3.pth'
    assert found.teacher == runner.model.teacher_identity and found.notes == []
    assert found.config.parent.parent.name == runner.timestamp
