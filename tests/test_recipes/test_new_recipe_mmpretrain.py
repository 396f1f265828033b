"""A pair of mmpretrain classifiers."""

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from PIL import Image

from mmrazor_tat.recipes import new_recipe
from mmrazor_tat.recipes.features import build_model

pytestmark = pytest.mark.mmpretrain


@pytest.fixture
def write(tmp_path):
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for label in ('a', 'b'):
            (tmp_path / split / label).mkdir(parents=True)
            for k in range(4):
                image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(image).save(tmp_path / split / label / f'{k}.png')

    def write(name: str, width: int, mean: float) -> str:
        (tmp_path / f'{name}.py').write_text(f"""
_base_ = ['mmpretrain::_base_/default_runtime.py',
          'mmpretrain::_base_/schedules/cifar10_bs128.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18, base_channels={width}, stem_channels={width}),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels={8 * width},
              loss=dict(type='CrossEntropyLoss')))
data_preprocessor = dict(num_classes=2, mean=[{mean}] * 3, std=[50.] * 3, to_rgb=False)
_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
_dataset = dict(type='CustomDataset', pipeline=_pipeline)
train_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler'),
                        dataset=dict(data_root={str(tmp_path / 'train')!r}, **_dataset))
val_dataloader = dict(batch_size=4, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(data_root={str(tmp_path / 'val')!r}, **_dataset))
val_evaluator = dict(type='Accuracy', topk=(1,))
test_dataloader, test_evaluator = val_dataloader, val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
del _pipeline, _dataset
""")
        return str(tmp_path / f'{name}.py')

    return write


def first_batch(runner) -> tuple:
    loader = Runner.build_dataloader(runner.cfg.train_dataloader)
    data = runner.model.data_preprocessor(next(iter(loader)), True)
    return data['inputs'], data['data_samples']


def test_two_iterations_on_maps_of_the_backbones(write, tmp_path):
    teacher, student = write('teacher', 8, 100.0), write('student', 4, 120.0)
    torch.save(build_model(Config.fromfile(teacher)).state_dict(), tmp_path / 'teacher.pth')
    sources = {(role, 'feature'): 'backbone.layer4.1.relu' for role in ('student', 'teacher')}
    settings = dict(teacher_ckpt=str(tmp_path / 'teacher.pth'), sources=sources, size=(32, 32))
    recipe = new_recipe(teacher, student, tmp_path / 'recipe.py', **settings)
    assert recipe.views == [dict(type='whole', weight=0.1)]
    cfg = Config.fromfile(recipe.file)
    cfg.work_dir, cfg.log_level = str(tmp_path / 'run'), 'ERROR'
    runner = Runner.from_cfg(cfg)
    seen = []
    networks = runner.model.teacher, runner.model.student
    for network in networks:
        network.backbone.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    runner.model.loss(*first_batch(runner))
    # The same images, each normalized as in its network's own training.
    torch.testing.assert_close(seen[0] * 50 + 100, seen[1] * 50 + 120)
    runner.train()
    assert runner.model.teacher_input.changes
    assert (runner.message_hub.get_scalar('train/distill.loss_tat')._log_history > 0).all()
    assert 'val/teacher/accuracy/top1' in runner.message_hub.log_scalars
    assert list((tmp_path / 'run').glob('best_accuracy_top1_epoch_1.pth'))
