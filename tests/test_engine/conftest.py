"""A distillation run of a few iterations, for the hooks."""

import itertools
import time

import pytest
from mmengine import Config
from mmengine.runner import Runner

import mmrazor_tat

_NUMBERS = itertools.count()


@pytest.fixture
def distillation(toy_voc, tmp_path, save_weights):
    """A function that gives a Runner of the demo's TaT recipe, with a teacher of random weights."""

    def make(iterations: int = 2, name: str = 'run', **settings) -> Runner:
        cfg = Config.fromfile(mmrazor_tat.config_path('demo/tat_student.py'))
        cfg.work_dir, cfg.log_level = str(tmp_path / name), 'ERROR'
        # mmengine keeps message hubs and visualizers by name, each with the state of its first run;
        # to a hub's name it adds the second of the start.
        cfg.experiment_name = f'{tmp_path.name}_{name}_{next(_NUMBERS)}'
        cfg.visualizer.name = cfg.experiment_name
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.data_root = str(toy_voc)
        cfg.train_dataloader.batch_size = 2
        cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
        cfg.default_hooks.checkpoint.update(interval=1)
        cfg.default_hooks.logger.update(interval=1)
        cfg.model.teacher_ckpt = save_weights(cfg.model.teacher)
        cfg.merge_from_dict(settings)
        if cfg.resume:  # mmengine names the folder of a start's logs by the second
            time.sleep(1 - time.time() % 1)
        return Runner.from_cfg(cfg)

    return make
