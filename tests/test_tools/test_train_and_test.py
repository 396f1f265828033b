"""The tools as a user runs them: ours and mmseg's own, on generated data."""

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
def config(repo):
    return repo / 'configs/small/demo/tat_student.py'


@pytest.fixture(scope='module')
def trained(repo, command, config, options, tmp_path_factory):
    """(work dir, log) of a TaT student trained for two iterations by our tool."""
    folder = tmp_path_factory.mktemp('tat')
    return folder, command(repo / 'tools/train.py', config, '--work-dir', folder, *options)


@pytest.fixture
def test(repo, here, tmp_path):
    """A function that tests a checkpoint with our tool and gives the log."""

    def test(config, checkpoint, *arguments) -> str:
        return here(repo / 'tools/test.py', config, checkpoint, '--work-dir', tmp_path, *arguments)

    return test


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


def test_resume(repo, command, here, config, options, trained, demo_teacher, tmp_path):
    """The iterations go on with the same teacher, which checkpoints name and do not hold."""
    work_dir, _ = trained
    content = torch.load(work_dir / 'iter_2.pth', weights_only=False)['state_dict']
    parts = {key.split('.')[0] for key in content}
    assert parts == {'architecture', 'distiller', 'teacher_identity'}
    identity = TeacherIdentity.from_tensor(content['teacher_identity'])
    assert identity.checkpoint == demo_teacher

    tool, more = repo / 'tools/train.py', [*options, 'train_cfg.max_iters=3']
    log = command(tool, config, '--work-dir', work_dir, '--resume', *more)
    assert 'resumed epoch: 0, iter: 2' in log
    assert [line['iter'] for line in scalars(work_dir)] == [1, 2, 3]

    other = torch.load(demo_teacher, weights_only=False)
    other['state_dict']['decode_head.conv_seg.bias'] += 1
    torch.save(other, tmp_path / 'other.pth')
    resume = ['--work-dir', tmp_path / 'run', '--resume', work_dir / 'iter_2.pth']
    more.append(f'model.teacher_ckpt={tmp_path / "other.pth"}')
    log = here(tool, config, *resume, *more, ok=False)
    assert 'is another teacher than that of the run that is resumed' in log
    assert identity.sha256[:16] in log
    assert scalars(tmp_path / 'run') == [] and not list(tmp_path.rglob('iter_3.pth'))


def test_test(test, config, options, trained, miou, tmp_path):
    work_dir, train_log = trained
    places = ['--out', tmp_path / 'labels', '--show-dir', tmp_path / 'pictures']
    log = test(config, work_dir / 'iter_2.pth', *places, *options)
    assert miou(log) == miou(train_log)
    labels = sorted((tmp_path / 'labels').glob('*.png'))
    assert len(labels) == 4
    assert np.array(Image.open(labels[0])).shape == (64, 64)
    assert np.array(Image.open(labels[0])).max() < 7
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 4


def test_test_with_the_plain_student_s_config(repo, test, toy_options, trained, miou):
    """The student of a distillation checkpoint, by itself and without a teacher."""
    work_dir, train_log = trained
    student = repo / 'configs/small/demo/student.py'
    log = test(student, work_dir / 'iter_2.pth', '--cfg-options', *toy_options)
    assert 'the student of a distillation checkpoint is loaded' in log
    assert 'do not match exactly' not in log
    assert miou(log) == miou(train_log)


def test_tta(test, config, options, trained, miou, tmp_path):
    """Test-time augmentation evaluates the trained student, not fresh weights."""
    work_dir, _ = trained
    checkpoint = torch.load(work_dir / 'iter_2.pth', weights_only=False)
    bias = checkpoint['state_dict']['architecture.decode_head.conv_seg.bias']
    bias.fill_(-100)
    bias[2] = 100  # whatever the image: class 2
    torch.save(dict(state_dict=checkpoint['state_dict']), tmp_path / 'class_2.pth')
    places = ['--tta', '--out', tmp_path / 'labels']
    assert miou(test(config, tmp_path / 'class_2.pth', *places, *options)) >= 0
    labels = [np.array(Image.open(path)) for path in (tmp_path / 'labels').glob('*.png')]
    assert len(labels) == 4 and all((label == 2).all() for label in labels)


@pytest.mark.skipif(is_onedl(), reason='mmseg:: bases resolve before custom_imports there')
def test_mmseg_s_own_tools(command, config, options, trained, miou, tmp_path):
    """The same config, unmodified, gives the same losses and the same mIoU."""
    # mmseg's tools know no crop_size: the crop is named where it stands.
    same = [
        'model.architecture.data_preprocessor.size=(48,48)',
        'train_dataloader.dataset.pipeline.3.crop_size=(48,48)',
    ]
    place = ['--work-dir', tmp_path, *options]
    log = command(MMSEG_TOOLS / 'train.py', config, *place, *same)
    names = ('loss', 'distill.tat_patch', 'distill.tat_anchor')
    ours, theirs = (
        [[line[name] for name in names] for line in scalars(where)[:2]]
        for where in (trained[0], tmp_path)
    )
    assert theirs == ours
    assert miou(command(MMSEG_TOOLS / 'test.py', config, tmp_path / 'iter_2.pth', *place)) == (
        miou(log)
    )


@pytest.mark.parametrize(
    ('option', 'error'),
    [
        (['model.teacher_ckpt=nowhere.pth'], "train: teacher_ckpt: there is no file 'nowhere.pth'"),
        ([], 'train: teacher_ckpt is None: a teacher with random weights'),
    ],
)
def test_bad_input_ends_before_training(repo, here, config, toy_options, tmp_path, option, error):
    tool = repo / 'tools/train.py'
    options = ['--cfg-options', *toy_options, *option]
    log = here(tool, config, '--work-dir', tmp_path, *options, ok=False)
    assert log.splitlines()[-1].startswith(error)
    assert not list(tmp_path.rglob('*.pth')) and 'Iter(train)' not in log
