"""A data set of one's own: two folders, a file of names, one command."""

import shutil

import numpy as np
import pytest
from mmengine import Config
from PIL import Image

from mmrazor_tat.data_preparation import read_own_folders
from mmrazor_tat.datasets.toy_scenes import CLASSES, PALETTE


@pytest.fixture
def own(toy_voc, tmp_path):
    """A function that lays the drawn scenes out in another way; gives the root and the names."""

    def own(change=lambda mask: mask, classes=CLASSES, split='folders', mode='P'):
        root = tmp_path / 'own'
        lists = toy_voc / 'ImageSets/Segmentation'
        for part in ('train', 'val'):
            sub = part if split == 'folders' else ''
            for name in ('images', 'masks'):
                (root / name / sub).mkdir(parents=True, exist_ok=True)
            for stem in (lists / f'{part}.txt').read_text().split():
                shutil.copy(toy_voc / f'JPEGImages/{stem}.jpg', root / 'images' / sub)
                mask = np.asarray(Image.open(toy_voc / f'SegmentationClass/{stem}.png'))
                image = Image.fromarray(change(mask).astype(np.uint8), 'L')
                if mode == 'P':
                    image = Image.fromarray(change(mask).astype(np.uint8), 'P')
                    image.putpalette(np.resize(np.array(PALETTE, np.uint8), (256, 3)).tobytes())
                image.save(root / 'masks' / sub / f'{stem}.png')
            if split == 'lists':
                shutil.copy(lists / f'{part}.txt', root)
        names = tmp_path / 'names.txt'
        names.write_text('\n'.join(classes) + '\n')
        return root, names

    return own


def binary(mask):
    return np.where(mask == 0, 0, 255)


def test_a_pair_is_trained_on_binary_masks(repo, here, own, tmp_path):
    """From two folders to a teacher, a distilled student and its scores, by the commands shown."""
    root, names = own(binary, ('ground', 'thing'), split='none', mode='L')
    recipes, configs = tmp_path / 'recipes', repo / 'configs/small/demo'
    words = [repo / 'tools/new_recipe.py', configs / 'teacher.py', configs / 'student.py']
    words += ['--out', recipes / 'own.py', '--data', root, '--classes', names]
    text = here(*words)
    assert '0 is ground, 255 is thing' in text and 'every 10th image validates' in text
    short = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2']
    for loader in ('train_dataloader', 'val_dataloader'):
        short += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    short += ['default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1']

    def train(config, run, *options):
        place = '--work-dir', tmp_path / run, '--cfg-options'
        return here(repo / 'tools/train.py', recipes / config, *place, *short, *options)

    log = train('own_teacher.py', 'teacher')
    assert '| ground |' in log and '| thing  |' in log
    log = train('own.py', 'run', f'model.teacher_ckpt={tmp_path}/teacher/iter_2.pth')
    assert '| thing  |' in log and 'distill.loss_tat' in log and 'teacher/mIoU' in log
    again = here(*words, ok=False)
    assert 'own_teacher.py exists: choose another --out, or add --force' in again


def shifted(mask):
    return np.where(mask == 255, 0, mask.astype(int) + 1)


def spread(mask):
    return np.where(mask == 255, 255, mask.astype(int) * 20)


@pytest.mark.parametrize(
    ('change', 'options', 'mapping'),
    [
        (lambda mask: mask, {}, None),
        (lambda mask: np.where(mask == 255, 9, mask), dict(ignore_index=9), {9: 255}),
        (shifted, dict(reduce_zero_label=True), {0: 255, 1: 0, 7: 6}),
        (
            lambda mask: np.where(mask == 255, 255, mask * 20),
            dict(values=range(0, 140, 20)),
            {120: 6},
        ),
    ],
    ids=['as they are', 'ignore_index', 'reduce_zero_label', 'values'],
)
@pytest.mark.parametrize('split', ['folders', 'lists'])
def test_masks_become_those_of_the_classes(own, toy_voc, change, options, mapping, split):
    """Pixel by pixel those that were drawn, whatever the values in the files."""
    root, names = own(change, split=split)
    found = read_own_folders(root, names, **options)
    assert found.classes == [*CLASSES] and (mapping is None) == (not found.notes)
    for part, of in found.dataset.items():
        stems = (toy_voc / f'ImageSets/Segmentation/{part}.txt').read_text().split()
        assert found.counts[part] == len(stems)
        for stem in stems:
            mask = np.asarray(Image.open(root / of['data_prefix']['seg_map_path'] / f'{stem}.png'))
            drawn = np.asarray(Image.open(toy_voc / f'SegmentationClass/{stem}.png'))
            assert np.array_equal(mask, drawn)


@pytest.mark.parametrize(
    ('change', 'classes', 'options', 'message'),
    [
        (lambda m: m, CLASSES[:5], {}, 'the masks hold 5, 6, which are none of the 5 classes'),
        (shifted, CLASSES, {}, r'the masks hold 7, .*--reduce-zero-label'),
        (lambda m: m, CLASSES, dict(values=[1, 2]), '--label-values must be 7 different values'),
        (lambda m: np.stack([m] * 3, 2), CLASSES, {}, 'has colours, 3 channels'),
        (lambda m: m, ('one',), {}, 'must name at least two different classes, it names 1'),
        (lambda m: m, ('a', 'a'), {}, "it names 'a' twice"),
    ],
)
def test_what_does_not_fit_is_named(own, change, classes, options, message):
    if change(np.zeros((2, 2))).ndim == 3:
        root, names = own(classes=classes, mode='L')
        path = next((root / 'masks/train').iterdir())
        Image.new('RGB', Image.open(path).size).save(path)
    else:
        root, names = own(change, classes, mode='L')
    with pytest.raises(ValueError, match=message):
        read_own_folders(root, names, **options)


def test_folders_that_are_not_there(own, tmp_path):
    root, names = own()
    next((root / 'masks/val').iterdir()).unlink()
    with pytest.raises(ValueError, match='has no mask: there is no '):
        read_own_folders(root, names)
    shutil.rmtree(root / 'masks')
    with pytest.raises(
        ValueError, match='must hold two folders, images and masks or .*it has images'
    ):
        read_own_folders(root, names)
    with pytest.raises(ValueError, match='it is no folder'):
        read_own_folders(tmp_path / 'nowhere', names)


@pytest.mark.parametrize(
    'config',
    [
        'mmseg::ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py',  # a list of heads
        'mmseg::unet/unet-s5-d16_fcn_4xb4-ce-1.0-dice-3.0-40k_chase-db1-128x128.py',  # wraps
        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',  # reduce_zero_label
    ],
)
def test_a_config_of_mmseg_on_them(own, config, tmp_path):
    """All heads have the classes, nothing of the old data is left, and the samples are read."""
    from mmengine.registry import DATASETS, init_default_scope

    from mmrazor_tat.recipes import write_config_on_data

    root, names = own()
    found = read_own_folders(root, names)
    write_config_on_data(config, tmp_path / 'plain.py', found.dataset, found.classes)
    cfg = Config.fromfile(tmp_path / 'plain.py')
    for name in ('decode_head', 'auxiliary_head'):
        head = cfg.model.get(name) or []
        for of in head if isinstance(head, list) else [head]:
            assert of.num_classes == len(CLASSES)
    init_default_scope('mmseg')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    ids = dataset[0]['data_samples'].gt_sem_seg.data.unique()
    assert len(dataset) == found.counts['train'] and {*ids.tolist()} <= {*range(7), 255}
    assert (
        cfg.val_evaluator.type == 'IoUMetric'
        and cfg.test_pipeline == cfg.val_dataloader.dataset.pipeline
    )
