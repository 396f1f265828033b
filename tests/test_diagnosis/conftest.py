"""A distillation that is healthy, to plant faults in."""

from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.utils.config_options import read_config


@pytest.fixture(scope='session')
def scenes(tmp_path_factory) -> Path:
    return write_toy_voc(tmp_path_factory.mktemp('scenes'), num_train=32, num_val=12, size=(64, 64))


@pytest.fixture
def teacher(repo, tmp_path):
    """A function that gives the demo's trained teacher, its weights or content changed."""

    def teacher(change=None, **content) -> str:
        path = repo / 'configs/small/demo/teacher.pth'
        if change is None and not content:
            return str(path)
        loaded = torch.load(path, weights_only=False)
        weights = loaded.get('state_dict', loaded)
        if change is not None:
            change(weights)
        torch.save(dict(state_dict=weights, meta=content), tmp_path / 'teacher.pth')
        return str(tmp_path / 'teacher.pth')

    return teacher


@pytest.fixture
def recipe(repo, scenes, teacher):
    """A function that gives the config of a demo's recipe, with options as on the command line."""
    MMLogger.get_current_instance().setLevel('ERROR')

    def recipe(method: str = 'tat', ckpt: str = '', **options):
        data = {'data_root': str(scenes), 'model.teacher_ckpt': ckpt or teacher()}
        return read_config(
            str(repo / f'configs/small/demo/{method}_student.py'), {**data, **options}
        )

    return recipe
