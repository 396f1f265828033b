"""Bad values drawn by hypothesis, and what a table cannot hold: workers, the whole tool."""

import json

import numpy as np
import pytest
from bad_data import TRAIN, relabel, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

DRAWN = dict(
    derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(max_examples=8, **DRAWN)
@given(content=st.binary(min_size=1, max_size=200))
def test_images_of_any_bytes(world, refuses, tmp_path_factory, content):
    root = world.copy_data(tmp_path_factory.mktemp('drawn') / 'data')
    write(lambda root, name: root / f'JPEGImages/{name}.jpg', content)(root)
    arguments = [world.plain, '--cfg-options', f'data_root={root}']
    refuses('train', arguments, (f'{TRAIN}.jpg', 'cannot be used'))


@pytest.mark.parametrize('part', np.linspace(0.02, 0.98, 6))
def test_checkpoints_cut_anywhere(world, refuses, tmp_path, part):
    content = world.checkpoint.read_bytes()
    (tmp_path / 'cut.pth').write_bytes(content[: int(part * len(content))])
    refuses('test', [world.plain, tmp_path / 'cut.pth'], ('cut.pth', 'damaged'))


def test_a_worker_names_the_label(world, here, tmp_path):
    """The whole tool: torch wraps what a worker raises in its traceback."""
    root = world.copy_data(tmp_path / 'data')
    relabel(lambda label: np.full_like(label, 99))(root)
    log = here(
        world.repo / 'tools/train.py',
        world.plain,
        '--cfg-options',
        f'data_root={root}',
        f'work_dir={tmp_path / "run"}',
        'train_dataloader.num_workers=1',
        ok=False,
    )
    last = log.strip().splitlines()[-1]
    assert last.startswith(f"train: label '{root}/SegmentationClass/{TRAIN}.png' has the ids 99 in")
    assert 'Traceback' not in log
    assert not list((tmp_path / 'run').glob('*.pth'))
    (text,) = (tmp_path / 'run').glob('*/*.log')
    assert 'BadSampleError' in text.read_text()  # for those who want to know more
    assert Image.open(root / f'SegmentationClass/{TRAIN}.png').size == (64, 64)


@pytest.mark.slow
def test_a_good_checkpoint_is_taken(world, call, tmp_path):
    """Resumed, started from, tested: what is refused is only what does not fit."""
    for more in (
        ['--resume', world.checkpoint],
        ['--cfg-options', f'load_from={world.checkpoint}'],
    ):
        options = [] if '--cfg-options' in more else ['--cfg-options']
        arguments = [*more, *options, f'work_dir={tmp_path}', 'train_cfg.max_iters=3']
        ended = call('train', world.plain, *arguments)
        assert ended.code is None, ended.line
    ended = call('test', world.plain, world.checkpoint, '--work-dir', tmp_path / 'test')
    assert ended.code is None, ended.line
    (metrics,) = (tmp_path / 'test').rglob('*.json')
    assert 'mIoU' in json.loads(metrics.read_text())
