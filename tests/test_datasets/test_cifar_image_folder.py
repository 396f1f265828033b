"""CIFAR-100 as image files: values by hand, and every fault once."""

import cv2
import numpy as np
import pytest

from mmrazor_tat.datasets import CIFARArchive
from mmrazor_tat.utils.archives import DataError


def paint(path, rgb, size=(32, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((*size, 3), np.uint8)
    image[0, :5] = rgb
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture
def root(tmp_path):
    """Two classes, two training images and one test image each."""
    for k, name in enumerate(('bear', 'apple')):
        for split, numbers in (('train', (0, 1)), ('test', (2,))):
            for number in numbers:
                paint(tmp_path / split / name / f'{number}.png', (10 * number, 20, 30 + k))
    return tmp_path


def test_images_labels_and_names(root):
    data = CIFARArchive(root, split='train')
    assert data.metainfo['classes'] == ('apple', 'bear') and len(data) == 4
    samples = [data.get_data_info(k) for k in range(4)]
    assert [sample['gt_label'] for sample in samples] == [0, 0, 1, 1]
    for sample, pixel in zip(samples, ((0, 20, 31), (10, 20, 31), (0, 20, 30), (10, 20, 30))):
        image = sample['img']
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8
        assert tuple(image[0, 4]) == pixel and not image[0, 5:].any()  # R, G, B
    test = CIFARArchive(root, split='test')
    assert [tuple(test.get_data_info(k)['img'][0, 0]) for k in (0, 1)] == [
        (20, 20, 31),
        (20, 20, 30),
    ]


def test_it_is_what_the_python_layout_gives(tmp_path, cifar_files, write_cifar):
    archive = CIFARArchive(write_cifar(tmp_path / 'python', cifar_files), split='train')
    for k in range(len(archive)):
        info = archive.get_data_info(k)
        for split in ('train', 'test'):
            path = tmp_path / 'images' / split / archive.CLASSES[info['gt_label']] / f'{k}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), info['img'][..., ::-1])
    folder = CIFARArchive(tmp_path / 'images', split='train')

    def contents(data):
        infos = map(data.get_data_info, range(len(data)))
        names = data.metainfo['classes']
        return sorted((names[i['gt_label']], i['img'].tobytes()) for i in infos)

    assert contents(folder) == contents(archive)


@pytest.mark.parametrize(
    'spoil, error, text',
    [
        (
            lambda root: (root / 'test/bear/2.png').write_bytes(b'no image'),
            DataError,
            '/test/bear/2.png cannot be read: it is damaged, or no image',
        ),
        (
            lambda root: (root / 'test/bear/2.png').write_bytes(b''),
            DataError,
            '/test/bear/2.png cannot be read: it is damaged, or no image',
        ),
        (
            lambda root: paint(root / 'test/bear/2.png', (1, 2, 3), size=(20, 32)),
            DataError,
            '/test/bear/2.png must be 32 x 32, is 32 x 20 (width x height)',
        ),
        (
            lambda root: (root / 'test/bear/2.png').rename(root / 'test/bear/2.txt'),
            DataError,
            '/test/bear holds no image (.png, .jpg, .jpeg, .bmp)',
        ),
        (
            lambda root: (root / 'train/bear').rename(root / 'train/pear'),
            DataError,
            ': test/ and train/ must have the same classes; only one of them has bear, pear',
        ),
        (
            lambda root: (root / 'test').rename(root / 'val'),
            FileNotFoundError,
            ' has no folder test/; it has train, val',
        ),
    ],
)
def test_errors(root, spoil, error, text):
    spoil(root)
    with pytest.raises(error) as caught:
        CIFARArchive(root, split='test')
    assert str(caught.value).endswith(f'{root}{text}')


@pytest.mark.parametrize('argument', [dict(labels='coarse'), dict(check_md5=True)])
def test_what_only_the_python_layout_has(root, argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f'^{name}=.*is a folder of images, which has {name}='):
        CIFARArchive(root, split='test', **argument)
