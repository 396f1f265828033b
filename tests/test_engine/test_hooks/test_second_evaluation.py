"""Evaluation on squashed images beside mmseg's own, against mIoUs worked out by hand."""

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.registry import TRANSFORMS
from mmengine.runner import Runner
from mmseg.structures import SegDataSample
from PIL import Image

import mmrazor_tat


def test_squashed_image_and_label():
    image = np.zeros((6, 4, 3), np.uint8)
    label = np.repeat(np.arange(6, dtype=np.uint8)[:, None], 4, 1)
    squash = TRANSFORMS.build(dict(type='SquashToSize', scale=(8, 3)))
    results = squash(dict(img=image, gt_seg_map=label, img_shape=(6, 4), ori_shape=(6, 4)))
    assert results['img'].shape == (3, 8, 3)
    assert results['ori_shape'] == results['img_shape'] == (3, 8)
    # Nearest: every second row of the label, no new ids.
    assert results['gt_seg_map'].shape == (3, 8)
    assert [set(row) for row in results['gt_seg_map']] == [{0}, {2}, {4}]


@pytest.fixture
def runner(toy_voc, tmp_path):
    cfg = Config.fromfile(mmrazor_tat.config_path('small/demo/student.py'))
    cfg.work_dir, cfg.experiment_name, cfg.log_level = str(tmp_path), 'second', 'ERROR'
    cfg.visualizer.name = 'second'
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(toy_voc)
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=1, val_interval=1)
    cfg.default_hooks.checkpoint.update(interval=1, save_best='squashed/mIoU')
    pipeline = [t for t in cfg.val_dataloader.dataset.pipeline if t.type != 'Resize']
    pipeline.insert(2, dict(type='SquashToSize', scale=(40, 24)))
    hook = dict(type='SecondEvaluationHook', prefix='squashed', pipeline=pipeline)
    cfg.default_hooks.squashed_evaluation = dict(_scope_='mmrazor', **hook)
    return Runner.from_cfg(cfg)


def test_both_metrics_and_the_best_by_either(runner, toy_voc, tmp_path):
    runner.train()
    assert list(tmp_path.glob('best_squashed_mIoU_iter_1.pth'))
    network = runner.model.eval()

    def predict(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        x = torch.from_numpy(image).permute(2, 0, 1)[[2, 1, 0]]
        sample = SegDataSample(metainfo=dict(img_shape=image.shape[:2], ori_shape=size))
        with torch.no_grad():
            (sample,) = network.test_step(dict(inputs=[x], data_samples=[sample]))
        return sample.pred_sem_seg.data[0].numpy()

    expected = {}
    for prefix, size in (('', None), ('squashed/', (40, 24))):
        confusion = np.zeros((7, 7))
        for name in (toy_voc / 'ImageSets/Segmentation/val.txt').read_text().split():
            image = cv2.imread(str(toy_voc / f'JPEGImages/{name}.jpg'))[..., ::-1]
            label = np.array(Image.open(toy_voc / f'SegmentationClass/{name}.png'))
            image = np.ascontiguousarray(image)
            if size is None:  # to a short side of 64; the label keeps its size
                by = 64 / min(label.shape)
                image = cv2.resize(image, [int(side * by + 0.5) for side in label.shape[::-1]])
            else:
                image = cv2.resize(image, size)
                label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
            predicted = predict(image, label.shape)
            keep = label != 255
            np.add.at(confusion, (label[keep], predicted[keep]), 1)
        union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
        with np.errstate(invalid='ignore'):
            expected[f'{prefix}mIoU'] = 100 * np.nanmean(np.diag(confusion) / union)
    for name, value in expected.items():
        found = runner.message_hub.get_scalar(f'val/{name}').current()
        assert found == pytest.approx(value, abs=0.02), name
    assert abs(expected['mIoU'] - expected['squashed/mIoU']) > 0.02  # else it shows nothing


def test_it_leaves_the_random_numbers_alone(runner):
    from mmrazor_tat.engine.runner.evaluation import build_loader, evaluate

    loader = build_loader(runner, 'val')
    before = torch.random.get_rng_state()
    evaluate(runner, 'val', loader, runner.model.eval().val_step)
    assert torch.equal(torch.random.get_rng_state(), before)
