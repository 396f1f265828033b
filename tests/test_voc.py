"""Opt-in: the real recipes on real images. MMRAZOR_TAT_VOC_ROOT=.../VOCdevkit/VOC2012 make test"""

import os
from pathlib import Path

import pytest
from mmengine import Config

ROOT = os.environ.get('MMRAZOR_TAT_VOC_ROOT')

pytestmark = [
    pytest.mark.voc,
    pytest.mark.skipif(ROOT is None, reason='MMRAZOR_TAT_VOC_ROOT is not set'),
]


@pytest.mark.parametrize('student', ['r18-d8', 'mobilenet-v2-d8'])
def test_a_recipe_trains_validates_saves_resumes_and_tests(
    student, repo, command, save_weights, miou, tmp_path
):
    name = f'tat_deeplabv3_r101-d8_{student}_4xb4-40k_voc12aug-512x512.py'
    config = repo / 'configs/tat' / name
    root = Path(ROOT)
    options = [
        '--cfg-options',
        'crop_size=(256,256)',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
        'train_dataloader.batch_size=2',
        *(f'train_dataloader.dataset.datasets.{k}.data_root={root}' for k in (0, 1)),
        *(f'{split}_dataloader.dataset.data_root={root}' for split in ('val', 'test')),
        *(f'{split}_dataloader.dataset.indices=2' for split in ('val', 'test')),
        *(f'{split}_dataloader.num_workers=1' for split in ('train', 'val', 'test')),
        f'model.teacher_ckpt={save_weights(Config.fromfile(config).model.teacher)}',
        'model.architecture.pretrained=None',
    ]
    if student == 'mobilenet-v2-d8':  # its grid leaves one position in a patch at this crop
        patch = 'model.distiller.distill_losses.loss_tat.views.0'
        options += [f'{patch}.grid=(16,16)', f'{patch}.groups=256']
    train = repo / 'tools/train.py', config, '--work-dir', tmp_path
    first = command(*train, *options, 'train_cfg.max_iters=2')
    assert 'distill.tat_patch' in first and 'distill.tat_anchor' in first
    second = command(*train, '--resume', *options, 'train_cfg.max_iters=4')
    assert 'resumed epoch: 0, iter: 2' in second and 'Iter(train) [4/4]' in second
    tested = command(
        repo / 'tools/test.py', config, tmp_path / 'iter_4.pth', '--work-dir', tmp_path, *options
    )
    assert miou(tested) == miou(second)
