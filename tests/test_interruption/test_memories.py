"""What a loss remembers of the data set (CRD's memories, SCKD's sums) goes on as well."""

import signal

import pytest
import torch
from interrupted_run import Kill, content, differences, losses, output, start
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope

from mmrazor_tat import config_path
from mmrazor_tat.datasets.toy_cifar import write_toy_cifar
from mmrazor_tat.utils.config_settings import set_data_root

pytestmark = pytest.mark.mmpretrain


@pytest.mark.parametrize('method', ['crd', 'sckd'])
def test_a_killed_classifier_ends_as_the_whole_one(tmp_path, method):
    root = write_toy_cifar(tmp_path / 'cifar', num_train=24, num_test=8)
    cfg = Config.fromfile(config_path(f'small/demo_cifar/{method}_student.py'))
    set_data_root(cfg, str(root))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 4
    cfg.train_cfg.update(max_iters=8, val_interval=4)
    cfg.default_hooks.checkpoint.interval = 3
    cfg.default_hooks.logger.interval = 1
    if method == 'crd':
        cfg.model.distiller.distill_losses.loss_crd.update(num_samples=24, num_negatives=16)
    init_default_scope('mmpretrain')
    cfg.model.teacher_ckpt = str(tmp_path / 'teacher.pth')
    torch.manual_seed(1)
    torch.save(MODELS.build(cfg.model.teacher).state_dict(), cfg.model.teacher_ckpt)
    file = tmp_path / 'recipe.py'
    cfg.dump(file)

    whole, work_dir = tmp_path / 'whole', tmp_path / 'killed'
    assert start(file, dict(work_dir=str(whole))) == 0, output(whole)
    killed = start(file, dict(work_dir=str(work_dir)), Kill(6, 'writing'))
    assert killed == -signal.SIGKILL, output(work_dir)
    assert start(file, dict(work_dir=str(work_dir)), resume=True) == 0, output(work_dir)
    assert losses(work_dir) == losses(whole) and len(losses(whole)) == 8
    for name in ('iter_8.pth', 'iter_6.pth'):
        assert differences(content(whole / name), content(work_dir / name)) == []
