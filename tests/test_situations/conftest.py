"""Small networks and drawn data of the kinds that users report of, and our tools on them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS
from mmengine.runner import runner as runner_module
from PIL import Image

from mmrazor_tat.datasets.toy_scenes import draw_scene

BASES = ['mmseg::_base_/default_runtime.py', 'mmseg::_base_/schedules/schedule_20k.py']
SIZES = (64, 64), (61, 97), (80, 72)


def _write_data(root: Path, sizes=SIZES, mode='RGB', ids=(0, 1), ignored=255, images=6) -> Path:
    """root/img/*.png and root/ann/*.png: something (``ids[1]``) before a background."""
    for folder in ('img', 'ann'):
        (root / folder).mkdir(parents=True)
    for k in range(images):
        image, label = draw_scene(np.random.default_rng([7, k]), sizes[k % len(sizes)])
        if mode == 'RGBA':
            image = np.dstack([image, 255 - image[..., 0]])
        picture = Image.fromarray(image)
        (picture if mode == 'RGBA' else picture.convert(mode)).save(root / f'img/{k}.png')
        label = np.select([label == 255, label > 0], [ignored, ids[1]], ids[0]).astype(np.uint8)
        Image.fromarray(label).save(root / f'ann/{k}.png')
    return root


@pytest.fixture(scope='session')
def write_data():
    return _write_data


@pytest.fixture(scope='session')
def data(tmp_path_factory) -> Path:
    return _write_data(tmp_path_factory.mktemp('data') / 'binary')


@pytest.fixture
def make(segmentor, data, tmp_path, monkeypatch):
    """A function that writes the config of a plain network, two iterations; gives its path.

    The validation resizes the image before the label is loaded, as mmseg's do.
    """
    monkeypatch.setattr(runner_module, 'collect_env', dict)  # seconds of asking compilers

    def make(name: str, channels: int = 8, root: Path = data, change=None, **settings) -> Path:
        load = dict(type='LoadImageFromFile')
        labels, pack = dict(type='LoadAnnotations'), dict(type='PackSegInputs')
        crop = dict(type='RandomCrop', crop_size=(48, 48))
        resize = dict(type='Resize', scale=(96, 64), keep_ratio=True)
        kind = dict(
            type='BaseSegDataset',
            data_root=str(root),
            img_suffix='.png',
            seg_map_suffix='.png',
            data_prefix=dict(img_path='img', seg_map_path='ann'),
            metainfo=dict(classes=('ground', 'thing'), palette=[[0, 0, 0], [255, 0, 0]]),
        )
        model = segmentor(channels, num_classes=2, crop=48)
        train = dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(kind, pipeline=[load, labels, crop, pack]),
        )
        test = dict(
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(kind, pipeline=[load, resize, labels, pack]),
        )
        cfg = Config.fromstring(f'_base_ = {BASES}', '.py')
        cfg.model = model
        cfg.merge_from_dict(
            dict(
                crop_size=(48, 48),
                train_dataloader=train,
                val_dataloader=test,
                test_dataloader=test,
                val_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
                test_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
                train_cfg=dict(max_iters=2, val_interval=2),
                default_hooks=dict(logger=dict(interval=1), checkpoint=dict(interval=2)),
                randomness=dict(seed=0),
                work_dir=str(tmp_path / f'run_{name}'),
            )
        )
        if change is not None:
            change(cfg)
        cfg.merge_from_dict(settings)
        cfg.dump(tmp_path / f'{name}.py')
        return tmp_path / f'{name}.py'

    return make


@pytest.fixture
def pair(make, call, tmp_path):
    """A function that writes teacher, student and, by ``tools/new_recipe.py``, their recipe."""

    def pair(change=None, method='tat', **settings) -> SimpleNamespace:
        teacher = make('teacher', 16, change=change, **settings)
        student = make('student', 8, change=change, **settings)
        weights = tmp_path / 'teacher.pth'
        torch.manual_seed(1)
        network = MODELS.build(Config.fromfile(teacher).model)
        torch.save(dict(state_dict=network.state_dict(), meta={}), weights)
        recipe = tmp_path / 'recipe.py'
        ended = call(
            *('new_recipe', teacher, student, '--teacher-ckpt', weights, '--out', recipe),
            *('--method', method, '--force'),
        )
        assert ended.code is None, ended.line
        return SimpleNamespace(teacher=teacher, student=student, recipe=recipe, weights=weights)

    return pair
