"""Labels that contradict the classes, ids that a loss cannot take, tests without labels."""

import re

import numpy as np
import pytest
from mmengine import Config
from PIL import Image


def test_masks_of_0_and_255_are_spoken_of(make, call, write_data, tmp_path):
    root = write_data(tmp_path / 'masks', ids=(0, 255))
    # What was said is in a checkpoint's message hub, from which the report has it.
    long = {'train_cfg.max_iters': 12, 'train_cfg.val_interval': 12}
    plain = make('plain', root=root, **long, **{'train_dataloader.batch_size': 10})
    ended = call('train', plain, '--work-dir', tmp_path / 'run')
    found = re.search(
        r'WARNING - the labels of 100 training samples hold 1 of 2 classes, and ([\d.]+) % of '
        r"their pixels are ignored; in none of them: 'thing'. Do the ids of the labels mean",
        ended.printed,
    )
    assert 1 < float(found[1]) < 99
    page = tmp_path / 'report.html'
    assert call('report', tmp_path / 'run', '--out', page).code is None
    assert 'the labels of 100 training samples hold 1 of 2 classes' in page.read_text()


def test_the_share_of_ignored_pixels_is_right(make, call, tmp_path):
    root = tmp_path / 'half'
    for folder in ('img', 'ann'):
        (root / folder).mkdir(parents=True)
    for k in range(4):
        Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(root / f'img/{k}.png')
        label = np.full((48, 48), 255, np.uint8)
        label[:12], label[12:24] = 0, 1
        Image.fromarray(label).save(root / f'ann/{k}.png')
    ended = call('train', make('plain', root=root), '--work-dir', tmp_path / 'run')
    assert ended.code is None
    said = 'INFO - the labels of 4 training samples hold 2 of 2 classes, and 50.0 % of their pixels'
    assert said in ended.printed


HEADS = ('decode_head', 'auxiliary_head')


def of_both(**settings) -> dict:
    """Of both heads, ``__`` for a dot."""
    return {
        f'model.{head}.{key.replace("__", ".")}': value
        for head in HEADS
        for key, value in settings.items()
    }


IGNORE_0 = of_both(ignore_index=0)


def rotated(pad: int) -> list[dict]:
    """A training pipeline whose labels have an id of their own in the corners."""
    return [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='RandomRotate', prob=1.0, degree=(20.0, 20.0), seg_pad_val=pad),
        dict(type='Resize', scale=(48, 48)),
        dict(type='PackSegInputs'),
    ]


PIPELINE = 'train_dataloader.dataset.pipeline'
SIGMOID = of_both(out_channels=1, threshold=0.5, loss_decode__use_sigmoid=True)


@pytest.mark.parametrize(
    'ignored, settings, words',
    [
        (
            0,
            {**IGNORE_0, 'model.data_preprocessor.size': (96, 96)},
            'are padded to 96 x 96, and their labels with seg_pad_val=255: the loss of decode_head '
            'cannot take it (IndexError: Target 255 is out of bounds.); the head has '
            'out_channels=2 and ignore_index=0. Set data_preprocessor.seg_pad_val',
        ),
        (255, IGNORE_0, 'has the id 255 in '),
        (0, {**IGNORE_0, PIPELINE: rotated(255)}, 'has the id 255 in '),
        (255, {PIPELINE: rotated(250)}, 'has the ids 250 in '),
        (
            255,
            of_both(out_channels=1),
            "class 1 ('thing') of the training data: the loss of decode_head cannot take it "
            '(IndexError: Target 1 is out of bounds.); the head has out_channels=1 (one channel '
            'needs loss_decode.use_sigmoid=True)',
        ),
        (
            255,
            {'model.auxiliary_head.out_channels': 1},
            "class 1 ('thing') of the training data: the loss of auxiliary_head cannot take it",
        ),
    ],
    ids=['padding', 'label', 'rotation', 'own id', 'one channel', 'auxiliary'],
)
def test_ids_that_a_loss_cannot_take(make, call, write_data, tmp_path, ignored, settings, words):
    root = write_data(tmp_path / 'data', ignored=ignored)
    ended = call('train', make('plain', root=root, **settings), '--work-dir', tmp_path / 'run')
    assert isinstance(ended.code, str) and words in ended.line
    assert 'Iter(train)' not in ended.printed and 'Traceback' not in ended.printed


@pytest.mark.parametrize(
    'ignored, settings',
    [
        (0, IGNORE_0),  # nothing is padded
        (0, {**IGNORE_0, 'model.data_preprocessor': dict(size=(96, 96), seg_pad_val=0)}),
        (255, SIGMOID),
        (255, {**SIGMOID, 'model.decode_head.num_classes': 1}),
        (254, {**of_both(ignore_index=254), 'val_evaluator.ignore_index': 254}),
    ],
    ids=['ignored 0', 'padding of 0', 'sigmoid', 'one class', 'ignored 254'],
)
def test_and_those_that_it_can(make, call, write_data, tmp_path, ignored, settings):
    root = write_data(tmp_path / 'data', ignored=ignored)
    ended = call('train', make('plain', root=root, **settings), '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    assert 'Iter(val) [6/6]' in ended.printed


def test_a_test_without_labels(make, call, tmp_path):
    config = make('plain')
    assert call('train', config, '--work-dir', tmp_path / 'run').code is None
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'), dict(type='PackSegInputs')
    ]  # fmt: skip
    cfg.test_dataloader.dataset.data_prefix = dict(img_path='img')
    cfg.test_evaluator = [cfg.test_evaluator]
    cfg.pop('visualizer')
    cfg.default_hooks.pop('visualization')
    cfg.dump(tmp_path / 'unlabelled.py')
    arguments = 'test', tmp_path / 'unlabelled.py', tmp_path / 'run/iter_2.pth'
    ended = call(*arguments, '--work-dir', tmp_path / 'test')
    assert 'have no labels' in ended.line and '--out DIR' in ended.line
    assert 'Iter(test)' not in ended.printed

    maps, painted = tmp_path / 'maps', tmp_path / 'painted'
    ended = call(*arguments, '--work-dir', tmp_path / 'test', '--out', maps, '--show-dir', painted)
    assert ended.code is None, ended.line
    assert 'the test images have no labels: nothing is scored' in ended.printed
    assert 'mIoU: ' not in ended.printed
    found = {path.name: np.array(Image.open(path)) for path in maps.glob('*.png')}
    assert {name: label.shape for name, label in found.items()} == {
        f'{k}.png': size for k, size in enumerate(((64, 64), (61, 97), (80, 72)) * 2)
    }
    assert all(set(np.unique(label)) <= {0, 1} for label in found.values())
    assert len(list(painted.rglob('*.png'))) == 6

    cfg.tta_model = dict(type='SegTTAModel')
    flips = [dict(type='RandomFlip', prob=p, direction='horizontal') for p in (0.0, 1.0)]
    load, pack = cfg.test_dataloader.dataset.pipeline
    groups = [flips, [dict(type='LoadAnnotations')], [pack]]
    cfg.tta_pipeline = [load, dict(type='TestTimeAug', transforms=groups)]
    cfg.dump(tmp_path / 'unlabelled.py')
    ended = call(*arguments, '--work-dir', tmp_path / 'test', '--out', tmp_path / 'tta', '--tta')
    assert ended.code is None, ended.line
    assert len(list((tmp_path / 'tta').glob('*.png'))) == 6
    # Labels that the augmentation alone loads are scored.
    cfg.test_dataloader.dataset.data_prefix.seg_map_path = 'ann'
    cfg.dump(tmp_path / 'unlabelled.py')
    ended = call(*arguments, '--work-dir', tmp_path / 'test', '--tta')
    assert ended.code is None and 'mIoU: ' in ended.printed, ended.line


def test_label_maps_beside_scores(make, call, tmp_path):
    """The scores are those without --out, the maps those of the images' own sizes."""
    config = make('plain')
    assert call('train', config, '--work-dir', tmp_path / 'run').code is None
    arguments = 'test', config, tmp_path / 'run/iter_2.pth', '--work-dir', tmp_path / 'test'
    score = re.compile(r'aAcc: [\d.]+  mIoU: [\d.]+  mAcc: [\d.]+')
    alone = score.findall(call(*arguments).printed)
    beside = score.findall(call(*arguments, '--out', tmp_path / 'maps').printed)
    assert alone == beside and len(alone) == 1
    assert len(list((tmp_path / 'maps').glob('*.png'))) == 6
