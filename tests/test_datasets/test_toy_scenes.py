"""Tests of the synthetic Pascal VOC style data set."""

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmrazor_tat.datasets.toy_scenes import CLASSES, PALETTE, draw_scene, write_toy_voc

IDS = set(range(len(CLASSES)))


def scenes(count, size=(64, 64)):
    return [draw_scene(np.random.default_rng([7, index]), size) for index in range(count)]


def content(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def test_classes_and_palette_go_together():
    assert CLASSES[0] == 'background'
    assert len(CLASSES) == len(set(CLASSES)) == len(PALETTE) == 7
    assert len({tuple(colour) for colour in PALETTE}) == len(PALETTE)


@pytest.mark.parametrize('size', [(32, 32), (48, 80), (96, 64)])
def test_scene_shapes_types_and_ids(size):
    for image, label in scenes(5, size):
        assert image.shape == (*size, 3) and image.dtype == np.uint8
        assert label.shape == size and label.dtype == np.uint8
        found = set(np.unique(label).tolist())
        assert found <= IDS | {255}
        assert {0, 255} < found


def test_an_image_follows_from_seed_split_and_number(tmp_path):
    """However many are asked for."""
    few = content(write_toy_voc(tmp_path / 'few', 1, 1, (48, 48)))
    many = content(write_toy_voc(tmp_path / 'many', 3, 2, (48, 48)))
    other = content(write_toy_voc(tmp_path / 'other', 3, 2, (48, 48), seed=1))
    pictures = [name for name in few if not name.endswith('.txt')]
    assert len(pictures) == 4
    assert all(few[name] == many[name] != other[name] for name in pictures)
    assert len({*many.values()}) == len(many), 'two files hold the same scene'


def test_layout_and_split_files(tmp_path):
    root = write_toy_voc(str(tmp_path / 'new' / 'voc'), num_train=3, num_val=2, size=(40, 56))
    assert root == tmp_path / 'new' / 'voc'
    lists = {
        split: (root / f'ImageSets/Segmentation/{split}.txt').read_text().splitlines()
        for split in ('train', 'val')
    }
    assert [len(lists['train']), len(lists['val'])] == [3, 2]
    stems = lists['train'] + lists['val']
    assert len(set(stems)) == 5
    for folder, ending in (('JPEGImages', 'jpg'), ('SegmentationClass', 'png')):
        files = {path.name for path in (root / folder).iterdir()}
        assert files == {f'{stem}.{ending}' for stem in stems}
    for stem in stems:
        with Image.open(root / f'JPEGImages/{stem}.jpg') as image:
            assert (image.format, image.mode, image.size) == ('JPEG', 'RGB', (56, 40))


def test_several_sizes_in_turn(tmp_path):
    sizes = [(64, 64), [61, 97], (40, 32)]
    found = content(write_toy_voc(tmp_path / 'several', 4, 2, sizes, seed=3))
    single = [
        content(write_toy_voc(tmp_path / f'size{k}', 4, 2, size, seed=3))
        for k, size in enumerate(sizes)
    ]
    assert len(found) == 2 * (4 + 2) + 2
    for name in found:
        if not name.endswith('.txt'):
            assert found[name] == single[int(name[-5]) % 3][name]


def test_labels_are_palette_pngs_that_keep_the_ids(tmp_path):
    root = write_toy_voc(tmp_path, num_train=2, num_val=1, size=(64, 64), seed=9)
    for split_id, stem in ((0, 'train_00001'), (1, 'val_00000')):
        rng = np.random.default_rng([9, split_id, int(stem[-5:])])
        image, label = draw_scene(rng, (64, 64))
        with Image.open(root / f'SegmentationClass/{stem}.png') as stored:
            assert stored.mode == 'P'
            colours = np.array(stored.getpalette()).reshape(-1, 3)
            assert np.array_equal(np.array(stored), label)
        assert colours[: len(PALETTE)].tolist() == PALETTE
        assert colours[255].tolist() == [224, 224, 192]
        with Image.open(root / f'JPEGImages/{stem}.jpg') as stored:
            error = np.abs(np.array(stored).astype(int) - image).mean()
        assert error < 12, 'the picture and its label show different scenes'


def test_mmseg_reads_image_and_label(tmp_path):
    root = write_toy_voc(tmp_path, num_train=1, num_val=0, size=(64, 80))
    image, label = draw_scene(np.random.default_rng([0, 0, 0]), (64, 80))
    found = dict(
        img_path=str(root / 'JPEGImages/train_00000.jpg'),
        seg_map_path=str(root / 'SegmentationClass/train_00000.png'),
        seg_fields=[],
        reduce_zero_label=False,
    )
    found = LoadAnnotations()(LoadImageFromFile()(found))
    assert np.array_equal(found['gt_seg_map'], label)
    # mmcv hands images over as BGR.
    assert np.abs(found['img'][..., ::-1].astype(int) - image).mean() < 12


def test_all_classes_about_equally_frequent():
    labels = np.stack([label for _, label in scenes(40)])
    present = [int((labels == k).any(axis=(1, 2)).sum()) for k in range(len(CLASSES))]
    assert present[0] == 40 and min(present) >= 8
    labels = np.stack([label for _, label in scenes(200)])
    areas = np.array([(labels == k).mean() for k in range(1, len(CLASSES))])
    assert areas.max() < 1.8 * areas.min()
    assert 0.15 < areas.sum() < 0.4 and (labels == 255).mean() < 0.2


def test_colour_does_not_tell_the_class():
    colours = {k: [] for k in IDS}
    for image, label in scenes(240):
        for k in IDS & set(np.unique(label).tolist()):
            colours[k].append(image[label == k].mean(axis=0))
    means = np.array([np.mean(colours[k], axis=0) for k in sorted(IDS)])
    spread = np.array([np.std(colours[k], axis=0) for k in sorted(IDS)])
    assert np.ptp(means, axis=0).max() < 30, 'a class has a colour of its own'
    assert spread.min() > 30, 'the colours of a class hardly vary'
    # A rule that knows every class's mean colour is right hardly more often than a guess.
    right = [
        np.linalg.norm(means[1:] - colour, axis=1).argmin() + 1 == k
        for k in sorted(IDS - {0})
        for colour in colours[k]
    ]
    assert np.mean(right) < 1 / (len(CLASSES) - 1) + 0.1


def test_boundary_band_parts_all_regions_and_is_thin():
    for _, label in scenes(30):
        for one, other in ((label[1:], label[:-1]), (label[:, 1:], label[:, :-1])):
            touching = (one != other) & (one != 255) & (other != 255)
            assert not touching.any(), 'two ids touch without a boundary between them'
        # No place lies deep inside a band, except in the few spots where bands meet.
        band = np.pad(label == 255, 2, constant_values=True)
        deep = np.lib.stride_tricks.sliding_window_view(band, (5, 5)).all(axis=(2, 3))
        assert deep.mean() < 0.02


@pytest.mark.parametrize('size', [(31, 96), (96,), (96, 96, 3), 96, (64.0, 64), None])
def test_bad_size_is_refused(tmp_path, size):
    text = f'size must be (height, width), two integers of at least 32, got {size!r}'
    with pytest.raises(ValueError) as caught:
        draw_scene(np.random.default_rng(0), size)
    assert str(caught.value) == text
    with pytest.raises(ValueError) as caught:
        write_toy_voc(tmp_path / 'voc', 1, 1, [(64, 64), size])
    assert str(caught.value) == text
    with pytest.raises(ValueError, match=r'at least 32, got \[\]$'):
        write_toy_voc(tmp_path / 'voc', 1, 1, [])
    assert not (tmp_path / 'voc').exists()


@pytest.mark.parametrize('name', ['num_train', 'num_val', 'seed'])
@pytest.mark.parametrize('value', [-1, 2.5, True, '3'])
def test_bad_count_is_refused(tmp_path, name, value):
    with pytest.raises(ValueError) as caught:
        write_toy_voc(tmp_path / 'voc', **{name: value})
    assert str(caught.value) == f'{name} must be an integer of at least 0, got {value!r}'
    assert not (tmp_path / 'voc').exists()
