"""What ``mim`` does with the installed wheel: ``make test-mim``, in an environment of its own."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.mim,
    pytest.mark.skipif(
        importlib.util.find_spec('mim') is None, reason='openmim is not installed: make test-mim'
    ),
]
STUDENT = 'deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512'


@pytest.fixture(scope='module')
def mim(tmp_path_factory):
    """A function that runs mim away from this source tree."""
    folder = tmp_path_factory.mktemp('mim')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    environment['PATH'] = f'{Path(sys.executable).parent}:{environment["PATH"]}'

    def mim(*words: str) -> str:
        run = subprocess.run(
            ['mim', *map(str, words)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert run.returncode == 0, run.stdout[-3000:]
        return run.stdout

    return mim


@pytest.fixture(scope='module')
def data(toy_voc, tmp_path_factory) -> Path:
    """The drawn scenes in the layout of VOC12aug."""
    root = tmp_path_factory.mktemp('voc') / 'VOC2012'
    shutil.copytree(toy_voc, root)
    shutil.copytree(root / 'SegmentationClass', root / 'SegmentationClassAug')
    lists = root / 'ImageSets/Segmentation'
    shutil.copy(lists / 'train.txt', lists / 'aug.txt')
    return root


def test_it_is_the_wheel_s():
    import mmrazor_tat

    assert 'site-packages' in mmrazor_tat.__file__


def test_list_and_search(mim):
    assert 'mmrazor-tat' in mim('list')
    found = mim('search', 'mmrazor_tat')
    assert 'config id: tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512' in found
    found = mim('search', 'mmrazor_tat', '--model', 'tat', '--field', 'config', 'crop', 'student')
    assert '512x512' in found and 'config id: kd' not in found


def short(data) -> list[str]:
    """Settings of a training of two iterations."""
    return [
        f'data_root={data}',
        'crop_size=(64,64)',
        'pretrained=None',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'train_dataloader.batch_size=2',
        'default_hooks.checkpoint.interval=2',
        *(
            f'{split}_dataloader.{key}'
            for split in ('train', 'val', 'test')
            for key in ('num_workers=0', 'persistent_workers=False')
        ),
    ]


def test_train_and_test(mim, data, tmp_path):
    options = short(data)
    common = ['mmrazor_tat', f'{STUDENT}.py', '--gpus', '0']
    log = mim('train', *common, '--work-dir', tmp_path, '--cfg-options', *options)
    assert 'Training finished successfully' in log and 'mIoU' in log
    checkpoint = ['--checkpoint', tmp_path / 'iter_2.pth']
    log = mim('test', *common, *checkpoint, '--cfg-options', *options)
    assert 'Testing finished successfully' in log and 'mIoU' in log


def test_gridsearch(mim, data, tmp_path):
    """A training for each value, in a folder of its own."""
    search = '--search-args', '--optim_wrapper.optimizer.lr 0.01 0.02'
    words = 'mmrazor_tat', f'{STUDENT}.py', '--gpus', '0', '--work-dir', tmp_path / 'lr', *search
    mim('gridsearch', *words, '--cfg-options', *short(data))
    for value in ('0.01', '0.02'):
        (folder,) = tmp_path.glob(f'lr_search_*_{value}')
        assert (folder / 'iter_2.pth').is_file()
        (config,) = folder.glob('*.py')
        assert f'lr={value}' in config.read_text()


def test_download_has_no_weights_to_give(mim):
    """mim asks for a column of weights before it looks at a config; none are published."""
    with pytest.raises(AssertionError, match="but got .*'weight'"):
        mim('download', 'mmrazor_tat', '--config', STUDENT, '--dest', '.')
