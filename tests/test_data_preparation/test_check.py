"""The check of a data root: every fault is provoked once."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from mmrazor_tat.data_preparation import check
from mmrazor_tat.data_preparation.check import check_root
from mmrazor_tat.data_preparation.layouts import LAYOUTS, DataError

NAMES = {
    'voc12aug': {'train': ['a1', 'a2'], 'aug': ['b1'], 'val': ['c1', 'c2']},
    'coco-stuff10k': {'train': ['a1', 'a2', 'a3'], 'test': ['c1']},
}
OFFICIAL = {
    'voc12aug': [('train', 1464), ('aug', 9118), ('val', 1449)],
    'coco-stuff10k': [('train', 9000), ('test', 1000)],
}
VOC_LISTS = 'ImageSets/Segmentation'


def save_label(path, ids, height=6, width=8):
    label = np.zeros((height, width), np.uint8)
    label.flat[: len(ids)] = ids
    Image.fromarray(label).save(path)


@pytest.fixture
def make(tmp_path):
    """A function that writes a small root of a kind, with every id that its labels may have."""

    def make(kind):
        root = tmp_path / LAYOUTS[kind].data_root
        ids = sorted(LAYOUTS[kind].label_ids)
        for split in LAYOUTS[kind].splits:
            names = NAMES[kind][split.name]
            for path in (split.list_file, split.image, split.label):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / split.list_file).write_text(''.join(f'{name}\n' for name in names))
            for name in names:
                Image.new('RGB', (8, 6)).save(root / split.image.format(name))
                save_label(root / split.label.format(name), ids[:48])
                ids = ids[48:] or ids
        return root

    return make


@pytest.fixture
def voc(make):
    return make('voc12aug')


@pytest.fixture
def coco(make):
    return make('coco-stuff10k')


def problems(kind, root, **kwargs):
    return list(check_root(kind, root, subset=True, workers=2, **kwargs).problems)


class TestRight:
    @pytest.mark.parametrize(
        'kind, text',
        [
            ('voc12aug', 'train 2, aug 1, val 2; 5 pairs of image and label read'),
            ('coco-stuff10k', 'train 3, test 1; 4 pairs of image and label read'),
        ],
    )
    def test_with_the_official_counts(self, make, monkeypatch, kind, text):
        splits = [
            dataclasses.replace(split, count=len(NAMES[kind][split.name]))
            for split in LAYOUTS[kind].splits
        ]
        counts = [(split.name, split.count) for split in LAYOUTS[kind].splits]
        assert counts == OFFICIAL[kind]
        official = dataclasses.replace(LAYOUTS[kind], splits=tuple(splits))
        monkeypatch.setitem(LAYOUTS, kind, official)
        root = make(kind)
        report = check_root(kind, root)
        assert (report.ok, report.problems, report.notes) == (True, (), ())
        assert str(report) == f'{kind} root {root} is in order: {text}'

    def test_subset(self, voc):
        report = check_root('voc12aug', voc, subset=True)
        assert report.ok and report.problems == ()
        assert len(report.notes) == 3
        assert str(report) == (
            f'voc12aug root {voc} is in order as a subset: train 2 of 1,464, aug 1 of 9,118, '
            'val 2 of 1,449; 5 pairs of image and label read'
        )

    def test_changes_nothing(self, coco):
        before = {path: path.stat().st_mtime_ns for path in coco.rglob('*')}
        assert check_root('coco-stuff10k', coco, subset=True).ok
        assert {path: path.stat().st_mtime_ns for path in coco.rglob('*')} == before

    def test_palette_labels(self, voc):
        label = Image.open(voc / 'SegmentationClass/a1.png')
        label.putpalette(bytes(range(256)) * 3)
        label.save(voc / 'SegmentationClass/a1.png')
        assert Image.open(voc / 'SegmentationClass/a1.png').mode == 'P'
        assert problems('voc12aug', voc) == []

    def test_without_decoding(self, voc):
        (voc / 'JPEGImages/a1.jpg').write_bytes(b'')
        report = check_root('voc12aug', voc, subset=True, decode=False)
        assert report.ok and report.read == 0

    def test_progress(self, voc, monkeypatch):
        monkeypatch.setattr(check, 'SECONDS_BETWEEN_LINES', 0)
        lines = []
        check_root('voc12aug', voc, say=lines.append)
        assert lines == [f'read {done} of 5 pairs of image and label' for done in range(1, 6)]


class TestLists:
    def test_counts(self, voc):
        report = check_root('voc12aug', voc)
        assert not report.ok and report.notes == ()
        assert str(report).splitlines() == [
            f'voc12aug root {voc} is not in order:',
            f'- names in {VOC_LISTS}/train.txt: 2, officially 1,464',
            f'- names in {VOC_LISTS}/aug.txt: 1, officially 9,118',
            f'- names in {VOC_LISTS}/val.txt: 2, officially 1,449',
        ]

    def test_missing(self, voc):
        (voc / VOC_LISTS / 'aug.txt').unlink()
        (voc / VOC_LISTS / 'val.txt').unlink()
        assert problems('voc12aug', voc) == [
            f'{VOC_LISTS}/aug.txt is missing (the conversion makes it)',
            f'{VOC_LISTS}/val.txt is missing',
        ]

    @pytest.mark.parametrize(
        'split, names, problem',
        [
            ('train', 'a1\na2\na1\n', 'names more than once in {train}: 1\n    a1'),
            (
                'train',
                'a1\n\n../a2\n',
                "lines of {train} that are no name: 2\n    line 2: ''\n    line 3: '../a2'",
            ),
            ('val', 'c1\na2\na1\n', 'names both in {train} and in {val}: 2\n    a1\n    a2'),
            ('val', '', '{val} is empty'),
        ],
        ids=['twice', 'no name', 'overlap', 'empty'],
    )
    def test_at_fault(self, voc, split, names, problem):
        (voc / VOC_LISTS / f'{split}.txt').write_text(names)
        files = {name: f'{VOC_LISTS}/{name}.txt' for name in ('train', 'val')}
        assert problems('voc12aug', voc) == [problem.format(**files)]

    def test_images_that_no_list_names(self, coco):
        Image.new('RGB', (8, 6)).save(coco / 'images/train2014/extra.jpg')
        assert problems('coco-stuff10k', coco) == [
            'images that mmseg would read but imageLists/train.txt does not name: 1\n'
            '    images/train2014/extra.jpg'
        ]


class TestFiles:
    def test_unreadable(self, coco):
        image = coco / 'images/train2014/a1.jpg'
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)).save(image)
        os.truncate(image, image.stat().st_size - 20)
        (coco / 'annotations/train2014/a2_labelTrainIds.png').write_bytes(b'')
        (found,) = problems('coco-stuff10k', coco)
        title, first, second = found.splitlines()
        assert title == 'unreadable files: 2'
        assert first.startswith('    images/train2014/a1.jpg (image file is truncated')
        assert second == '    annotations/train2014/a2_labelTrainIds.png (not an image)'

    def test_no_more_than_twenty_names(self, voc):
        names = [f'd{number:02}' for number in range(23)]
        (voc / VOC_LISTS / 'aug.txt').write_text('\n'.join(names))
        for name in names:
            (voc / f'JPEGImages/{name}.jpg').write_bytes(b'')
            save_label(voc / f'SegmentationClassAug/{name}.png', [0])
        (found,) = problems('voc12aug', voc)
        assert found.splitlines() == [
            'unreadable files: 23',
            *(f'    JPEGImages/{name}.jpg (not an image)' for name in names[:20]),
            '    and 3 more',
        ]

    def test_ids_out_of_range(self, coco):
        label = 'annotations/test2014/c1_labelTrainIds.png'
        save_label(coco / label, [171, 172, 0, 255])
        text = f'labels with ids out of range: 1\n    {label} (172)'
        assert problems('coco-stuff10k', coco) == [text]

    def test_all_at_once(self, voc):
        """One fault hides no other, and the wrong counts come first."""
        (voc / 'JPEGImages/c1.jpg').unlink()
        (voc / 'SegmentationClassAug/b1.png').unlink()
        save_label(voc / 'SegmentationClass/a1.png', [20, 21, 254, 255])
        save_label(voc / 'SegmentationClass/a2.png', [0], height=5, width=9)
        Image.new('RGB', (8, 6)).save(voc / 'SegmentationClass/c2.png')
        assert list(check_root('voc12aug', voc).problems[3:]) == [
            'missing files: 2\n    SegmentationClassAug/b1.png\n    JPEGImages/c1.jpg',
            'labels of another size than their image: 1\n'
            '    SegmentationClass/a2.png (9 x 5, image 8 x 6)',
            'labels that are not class ids in one channel of 8 bits: 1\n'
            '    SegmentationClass/c2.png (mode RGB)',
            'labels with ids out of range: 1\n    SegmentationClass/a1.png (21, 254)',
        ]


class TestWrongRoot:
    def test_missing(self, tmp_path):
        with pytest.raises(DataError) as caught:
            check_root('coco-stuff10k', tmp_path / 'coco')
        assert str(caught.value) == (
            f'{tmp_path}/coco is not a coco-stuff10k root (.../coco_stuff10k): '
            'there is no such folder'
        )

    def test_incomplete(self, coco):
        (coco / 'annotations/train2014').rename(coco / 'elsewhere')
        text = r'lacks annotations/train2014/; it is unpacked but not'
        with pytest.raises(DataError, match=text):
            check_root('coco-stuff10k', coco)

    @pytest.mark.parametrize(
        'kind, workers, text',
        [
            ('coco-stuff10k', 1, r'lacks images/train2014/ and annotations/train2014/$'),
            ('voc', 1, "one of voc12aug, coco-stuff10k, got 'voc'"),
            ('voc12aug', 0, 'workers must be at least 1, got 0'),
        ],
    )
    def test_refused(self, voc, kind, workers, text):
        with pytest.raises(ValueError, match=text):
            check_root(kind, voc, workers=workers)
