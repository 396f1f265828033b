"""The generated classification data set in folders of images."""

import cv2
import numpy as np
import pytest

from mmrazor_tat.datasets.toy_cifar import CLASSES, SHAPES, SURFACES, draw_image, write_toy_cifar


def content(root) -> dict[str, np.ndarray]:
    """The images by their paths, R, G, B."""
    paths = sorted(root.glob('*/*/*.png'))
    return {str(path.relative_to(root)): cv2.imread(str(path))[..., ::-1] for path in paths}


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
    first = 'plain_disc', 'striped_disc', 'checked_disc', 'dotted_disc', 'plain_ring'
    assert CLASSES[:5] == first


def test_a_folder_for_each_class(toy):
    found = content(toy)
    assert len(found) == 45 + 21
    assert {path.name for path in (toy / 'test').iterdir()} == set(CLASSES)
    image = draw_image(np.random.default_rng([3, 1, 7]), 7)
    assert image.shape == (32, 32, 3)
    assert np.array_equal(found[f'test/{CLASSES[7]}/000007.png'], image)


def test_more_images_leave_the_first_ones(toy, tmp_path):
    many = content(toy)
    few = content(write_toy_cifar(tmp_path, num_train=6, num_test=2, seed=3))
    assert len(few) == 8 and all(np.array_equal(many[path], few[path]) for path in few)


def test_seeds(toy, tmp_path):
    """Another seed makes other images; no two are the same."""
    other = content(write_toy_cifar(tmp_path, 2, 2, seed=4))
    images = [*content(toy).values(), *other.values()]
    assert len({image.tobytes() for image in images}) == 45 + 21 + 4


def test_fewer_classes(tmp_path):
    write_toy_cifar(tmp_path, num_train=11, num_test=0, num_classes=5)
    assert {path.name for path in (tmp_path / 'test').iterdir()} == set(CLASSES[:5])
    assert len(content(tmp_path)) == 11


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
