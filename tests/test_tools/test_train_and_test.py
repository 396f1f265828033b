"""The tools as a user runs them: ours and mmseg's own, on generated data, a process each."""

import json
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from PIL import Image

from mmrazor_tat import compat
from mmrazor_tat.models.teacher.identity import TeacherIdentity

MMSEG_TOOLS = Path(mmseg.__path__[0]) / '.mim' / 'tools'


def is_onedl() -> bool:
    return compat.is_installed('onedl-mmsegmentation')


def scalars(work_dir) -> list[dict]:
    """What a run logged, over all its starts, in order."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if 'loss' in line]


@pytest.fixture(scope='module')
def options(toy_options, demo_teacher):
    return ['--cfg-options', *toy_options, f'model.teacher_ckpt={demo_teacher}']


@pytest.fixture(scope='module')
def trained(repo, command, options, tmp_path_factory):
    """(work dir, log) of a TaT student trained for two iterations by our tool."""
    work_dir = tmp_path_factory.mktemp('tat')
    log = command(
        repo / 'tools/train.py',
        repo / 'configs/small/demo/tat_student.py',
        '--work-dir',
        work_dir,
        *options,
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
    )
    return work_dir, log


def test_train(trained):
    work_dir, log = trained
    first, second = scalars(work_dir)
    assert first['iter'] == 1 and second['iter'] == 2
    for name in ('student.decode.loss_ce', 'distill.loss_tat'):
        assert first[name] > 0
    parts = first['distill.tat_patch'], first['distill.tat_anchor']
    assert min(parts) > 0 and sum(parts) == pytest.approx(first['distill.loss_tat'])
    assert first['loss'] == pytest.approx(sum(v for k, v in first.items() if '.loss' in k))
    assert 'mIoU' in log
    assert (work_dir / 'iter_2.pth').exists()
    for chatter in ('pkg_resources', 'MultiScaleDeformableAttention', 'avg_non_ignore'):
        assert chatter not in log


def test_resume(repo, command, options, trained, tmp_path):
    """Latest by itself, or a path; the iterations go on and the teacher is the same."""
    work_dir, _ = trained
    more = ['train_cfg.max_iters=3']
    tool, config = repo / 'tools/train.py', repo / 'configs/small/demo/tat_student.py'
    log = command(tool, config, '--work-dir', work_dir, '--resume', *options, *more)
    assert 'resumed epoch: 0, iter: 2' in log
    assert [line['iter'] for line in scalars(work_dir)] == [1, 2, 3]
    path = work_dir / 'iter_2.pth'
    log = command(tool, config, '--work-dir', tmp_path, '--resume', path, *options, *more)
    assert 'resumed epoch: 0, iter: 2' in log
    assert [line['iter'] for line in scalars(tmp_path)] == [3]


def test_checkpoints_hold_no_teacher(repo, command, options, trained, demo_teacher, tmp_path):
    """They name it, and a run that is resumed with another one stops."""
    work_dir, _ = trained
    content = torch.load(work_dir / 'iter_2.pth', weights_only=False)['state_dict']
    parts = {key.split('.')[0] for key in content}
    assert parts == {'architecture', 'distiller', 'teacher_identity'}
    identity = TeacherIdentity.from_tensor(content['teacher_identity'])
    assert identity.checkpoint == demo_teacher
    other = torch.load(demo_teacher, weights_only=False)
    other['state_dict']['decode_head.conv_seg.bias'] += 1
    torch.save(other, tmp_path / 'other.pth')
    log = command(
        repo / 'tools/train.py',
        repo / 'configs/small/demo/tat_student.py',
        '--work-dir',
        tmp_path / 'run',
        '--resume',
        work_dir / 'iter_2.pth',
        *options,
        'train_cfg.max_iters=3',
        f'model.teacher_ckpt={tmp_path / "other.pth"}',
        ok=False,
    )
    assert 'is another teacher than that of the run that is resumed' in log
    assert identity.sha256[:16] in log
    assert scalars(tmp_path / 'run') == [] and not list(tmp_path.rglob('iter_3.pth'))


def test_test(repo, command, options, trained, miou, tmp_path):
    work_dir, train_log = trained
    log = command(
        repo / 'tools/test.py',
        repo / 'configs/small/demo/tat_student.py',
        work_dir / 'iter_2.pth',
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'labels',
        '--show-dir',
        tmp_path / 'pictures',
        *options,
    )
    assert miou(log) == miou(train_log)
    labels = sorted((tmp_path / 'labels').glob('*.png'))
    assert len(labels) == 4
    assert np.array(Image.open(labels[0])).shape == (64, 64)
    assert np.array(Image.open(labels[0])).max() < 7
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 4


def test_test_with_the_plain_student_s_config(repo, command, toy_options, trained, miou, tmp_path):
    """The student of a distillation checkpoint, by itself and without a teacher."""
    work_dir, train_log = trained
    log = command(
        repo / 'tools/test.py',
        repo / 'configs/small/demo/student.py',
        work_dir / 'iter_2.pth',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *toy_options,
    )
    assert 'the student of a distillation checkpoint is loaded' in log
    assert 'do not match exactly' not in log
    assert miou(log) == miou(train_log)


def test_tta(repo, command, options, trained, miou, tmp_path):
    """Test-time augmentation evaluates the trained student, not fresh weights."""
    work_dir, _ = trained
    checkpoint = torch.load(work_dir / 'iter_2.pth', weights_only=False)
    bias = checkpoint['state_dict']['architecture.decode_head.conv_seg.bias']
    bias.fill_(-100)
    bias[2] = 100  # whatever the image: class 2
    torch.save(dict(state_dict=checkpoint['state_dict']), tmp_path / 'class_2.pth')
    log = command(
        repo / 'tools/test.py',
        repo / 'configs/small/demo/tat_student.py',
        tmp_path / 'class_2.pth',
        '--tta',
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'labels',
        *options,
    )
    assert miou(log) >= 0
    labels = [np.array(Image.open(path)) for path in (tmp_path / 'labels').glob('*.png')]
    assert len(labels) == 4 and all((label == 2).all() for label in labels)


@pytest.mark.skipif(is_onedl(), reason='mmseg:: bases resolve before custom_imports there')
def test_mmseg_s_own_tools(repo, command, options, trained, miou, tmp_path):
    """The same config, unmodified, gives the same losses and the same mIoU."""
    work_dir, _ = trained
    config = repo / 'configs/small/demo/tat_student.py'
    same = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    # mmseg's tools know no crop_size: the crop is named where it stands.
    same += [
        'model.architecture.data_preprocessor.size=(48,48)',
        'train_dataloader.dataset.pipeline.3.crop_size=(48,48)',
    ]
    log = command(MMSEG_TOOLS / 'train.py', config, '--work-dir', tmp_path, *options, *same)
    ours, theirs = (
        [
            [line[k] for k in ('loss', 'distill.tat_patch', 'distill.tat_anchor')]
            for line in scalars(where)
        ][:2]
        for where in (work_dir, tmp_path)
    )
    assert theirs == ours
    tested = command(
        MMSEG_TOOLS / 'test.py', config, tmp_path / 'iter_2.pth', '--work-dir', tmp_path, *options
    )
    assert miou(tested) == miou(log)


def test_bad_input_ends_before_training(repo, command, toy_options, tmp_path):
    config = repo / 'configs/small/demo/tat_student.py'
    log = command(
        repo / 'tools/train.py',
        config,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *toy_options,
        'model.teacher_ckpt=nowhere.pth',
        ok=False,
    )
    assert log.splitlines()[-1].startswith("train: teacher_ckpt: there is no file 'nowhere.pth'")
    assert not list(tmp_path.rglob('*.pth')) and 'Iter(train)' not in log


def test_a_random_teacher_is_refused_before_training(repo, command, toy_options, tmp_path):
    log = command(
        repo / 'tools/train.py',
        repo / 'configs/small/demo/tat_student.py',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *toy_options,
        ok=False,
    )
    assert 'teacher_ckpt is None: a teacher with random weights' in log
    assert 'Iter(train)' not in log
