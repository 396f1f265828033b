import os
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope='session')
def command():
    """A function that runs a Python tool in a process of its own and gives all it printed."""

    def command(tool, *arguments, cwd=None, ok=True) -> str:
        run = subprocess.run(
            [sys.executable, str(tool), *map(str, arguments)],
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': '2'},
        )
        assert (run.returncode == 0) == ok, run.stdout[-6000:]
        return run.stdout

    return command


@pytest.fixture(scope='session')
def toy_options(toy_voc):
    """``--cfg-options`` that point a demo config at the small data set, for two iterations."""
    roots = [
        f'{split}_dataloader.dataset.data_root={toy_voc}' for split in ('train', 'val', 'test')
    ]
    return [
        *roots,
        'crop_size=(64,64)',
        'train_dataloader.batch_size=2',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
    ]


@pytest.fixture(scope='session')
def miou():
    """A function that reads the last mIoU from a log."""
    return lambda text: float(re.findall(r'mIoU: ([\d.]+)', text)[-1])


@pytest.fixture(scope='session')
def demo_teacher(repo, command, toy_options, tmp_path_factory) -> str:
    """The checkpoint of a demo teacher, trained for two iterations by our tool."""
    work_dir = tmp_path_factory.mktemp('teacher')
    command(
        repo / 'tools/train.py',
        repo / 'configs/demo/teacher.py',
        '--work-dir',
        work_dir,
        '--cfg-options',
        *toy_options,
    )
    return str(work_dir / 'iter_2.pth')
