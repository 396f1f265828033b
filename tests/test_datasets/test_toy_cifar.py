"""The generated classification data set in CIFAR-100's layout."""

import pickle

import numpy as np
import pytest

from mmrazor_tat.data_preparation.cifar_root import check_cifar100
from mmrazor_tat.datasets import CIFARArchive
from mmrazor_tat.datasets.toy_cifar import CLASSES, SHAPES, SURFACES, draw_image, write_toy_cifar

FILES = ('train', 'test', 'meta')


def content(root, encoding='latin1'):
    """What others see who read the files as the page of CIFAR tells them to."""
    return {
        name: pickle.loads((root / 'cifar-100-python' / name).read_bytes(), encoding=encoding)
        for name in FILES
    }


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return write_toy_cifar(tmp_path_factory.mktemp('toy'), num_train=45, num_test=21, seed=3)


@pytest.fixture(scope='module')
def drawn():
    """40 images of each class."""
    return [
        np.stack([draw_image(np.random.default_rng([label, i]), label) for i in range(40)])
        for label in range(len(CLASSES))
    ]


def test_classes():
    assert len(CLASSES) == len(set(CLASSES)) == 20 == len(SHAPES) * len(SURFACES)
    assert CLASSES[:5] == (
        'plain_disc',
        'striped_disc',
        'checked_disc',
        'dotted_disc',
        'plain_ring',
    )


@pytest.mark.parametrize('encoding', ['latin1', 'bytes'])
def test_files_are_as_python_2_wrote_them(toy, encoding):
    def text(value):
        return value.encode() if encoding == 'bytes' else value

    found = content(toy, encoding)
    train = found['train']
    assert sorted(train) == sorted(
        map(text, ['filenames', 'batch_label', 'fine_labels', 'coarse_labels', 'data'])
    )
    data = train[text('data')]
    assert data.shape == (45, 3072) and data.dtype == np.uint8
    assert train[text('fine_labels')] == [*range(20), *range(20), *range(5)]
    assert train[text('coarse_labels')][:9] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert train[text('filenames')][21] == text('striped_disc_000021.png')
    assert found['meta'] == {
        text('fine_label_names'): [text(name) for name in CLASSES],
        text('coarse_label_names'): [text(name) for name in SHAPES],
    }
    assert len(found['test'][text('data')]) == 21


def test_planes_are_those_of_the_drawing(toy):
    data = content(toy)['test']['data']
    image = draw_image(np.random.default_rng([3, 1, 7]), 7)
    assert image.shape == (32, 32, 3)
    assert np.array_equal(data[7].reshape(3, 32, 32), image.transpose(2, 0, 1))


def test_our_data_set_and_check_read_it(toy):
    dataset = CIFARArchive(toy, split='test', labels='coarse', serialize_data=False)
    assert dataset.metainfo['classes'] == SHAPES
    assert [x['gt_label'] for x in dataset] == content(toy)['test']['coarse_labels']
    assert np.array_equal(dataset[7]['img'], draw_image(np.random.default_rng([3, 1, 7]), 7))
    report = check_cifar100(toy, subset=True)
    assert report.ok and report.counts == {'train': 45, 'test': 21}


def test_more_images_leave_the_first_ones(toy, tmp_path):
    few = content(write_toy_cifar(tmp_path, num_train=6, num_test=2, seed=3))
    many = content(toy)
    for split, count in (('train', 6), ('test', 2)):
        assert np.array_equal(few[split]['data'], many[split]['data'][:count])
        assert few[split]['fine_labels'] == many[split]['fine_labels'][:count]


def test_seeds(toy, tmp_path):
    """The same seed makes the same files, another another; no two images are the same."""
    same = write_toy_cifar(tmp_path / 'same', 45, 21, seed=3) / 'cifar-100-python'
    for name in FILES:
        assert (same / name).read_bytes() == (toy / 'cifar-100-python' / name).read_bytes()
    other = content(write_toy_cifar(tmp_path / 'other', 2, 2, seed=4))
    one = content(toy)
    images = [*one['train']['data'], *one['test']['data'], *other['train']['data']]
    assert len({image.tobytes() for image in images}) == 45 + 21 + 2


def test_fewer_classes(tmp_path):
    found = content(write_toy_cifar(tmp_path, num_train=11, num_test=0, num_classes=5))
    assert found['meta'] == {
        'fine_label_names': list(CLASSES[:5]),
        'coarse_label_names': ['disc', 'ring'],
    }
    assert found['train']['fine_labels'] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]
    assert found['test']['data'].shape == (0, 3072)


def test_colour_does_not_tell_the_class(drawn):
    """A rule that knows every class's mean colour is right hardly more often than a guess."""
    colours = np.stack([images.mean((1, 2)) for images in drawn])  # (20, 40, 3)
    centre = np.stack([images[:, 13:19, 13:19].mean((1, 2)) for images in drawn])
    for means in (colours, centre):
        known, unknown = means[:, :20].mean(1), means[:, 20:]
        nearest = np.linalg.norm(unknown[:, :, None] - known, axis=-1).argmin(-1)
        assert (nearest == np.arange(20)[:, None]).mean() < 0.05 + 0.05


def test_pattern_shows_within_the_object(drawn):
    """Neighbours differ more where there is a pattern than on a plain surface of the shape."""
    squares = drawn[-4:]
    rough = [
        np.abs(np.diff(images[:, 12:20, 12:20].astype(int), axis=2)).mean() for images in squares
    ]
    assert min(rough[1:]) > 1.5 * rough[0]


def test_shape_shows_in_the_outline(drawn):
    """The centre of a plain ring shows the background; that of a plain disc never does."""
    spread = {
        name: np.median(drawn[CLASSES.index(name)][:, 14:18, 14:18].std((1, 2)))
        for name in ('plain_disc', 'plain_ring')
    }
    assert spread['plain_ring'] > 1.5 * spread['plain_disc']


@pytest.mark.parametrize('name', ['num_train', 'num_test', 'num_classes', 'seed'])
@pytest.mark.parametrize('value', [-1, 2.5, True, '3'])
def test_bad_count_is_refused(tmp_path, name, value):
    with pytest.raises(ValueError) as caught:
        write_toy_cifar(tmp_path / 'toy', **{name: value})
    assert str(caught.value) == f'{name} must be an integer of at least 0, got {value!r}'
    assert not (tmp_path / 'toy').exists()


@pytest.mark.parametrize('value', [0, 1, 21])
def test_bad_number_of_classes(tmp_path, value):
    with pytest.raises(ValueError, match=f'num_classes must be 2 to 20, got {value}$'):
        write_toy_cifar(tmp_path / 'toy', num_classes=value)
    with pytest.raises(ValueError, match='label must be 0 to 19, got 20$'):
        draw_image(np.random.default_rng(0), 20)
    assert not (tmp_path / 'toy').exists()
