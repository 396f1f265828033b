"""The data that a suite draws for itself: which, where, and that it is drawn once."""

import pytest

from mmrazor_tat.benchmark.suites.options import SuiteError
from mmrazor_tat.benchmark.suites.toy_data import make_toy_data, read_toy_data

CIFAR = dict(layout='cifar', num_train=6, num_test=4, num_classes=3)
VOC = dict(num_train=2, num_val=1, size=(32, 32))


def test_the_layout_of_voc_need_not_be_named():
    """So that runs of before keep their settings."""
    assert read_toy_data(None) is None
    assert read_toy_data(VOC) == read_toy_data(dict(layout='voc', **VOC)) == VOC
    assert read_toy_data(CIFAR) == CIFAR


@pytest.mark.parametrize(
    ('value', 'error'),
    [
        (dict(layout='cifr'), r"must be a dict \(layout='voc': num_train.*; layout='cifar': num_t"),
        (dict(layout=['voc']), 'toy_data must be a dict'),
        (dict(layout='cifar', num_val=3), "of layout 'cifar' has no key 'num_val'; nearest: 'num"),
        ('cifar', "toy_data must be a dict .*, got 'cifar'"),
    ],
)
def test_a_fault_names_what_is_known(value, error):
    with pytest.raises(SuiteError, match=error):
        read_toy_data(value)


@pytest.fixture
def make(tmp_path):
    """A function that draws data and gives what was said."""

    def make(toy_data: dict) -> list[str]:
        said = []
        make_toy_data(toy_data, tmp_path / 'data', said.append)
        return said

    return make


@pytest.mark.parametrize('toy_data', [CIFAR, VOC])
def test_it_is_drawn_once(make, tmp_path, toy_data):
    name = 'images' if 'layout' in toy_data else 'scenes'
    assert make(toy_data) == [f'writing the {name} to {tmp_path / "data"}']
    drawn = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.is_file()}
    assert make(toy_data) == []
    assert drawn == {path: path.stat().st_mtime_ns for path in drawn}
    with pytest.raises(SuiteError, match=f'data holds other {name} than toy_data asks for'):
        make({**toy_data, 'num_train': 3})


def test_the_images_are_those_of_the_arguments(make, tmp_path):
    with pytest.raises(SuiteError, match='toy_data: num_classes must be 2 to 20, got 99'):
        make({**CIFAR, 'num_classes': 99})
    assert not (tmp_path / 'data').exists()
    make(CIFAR)
    drawn = [len(list((tmp_path / 'data' / split).glob('*/*.png'))) for split in ('train', 'test')]
    assert drawn == [6, 4] and len(list((tmp_path / 'data/train').iterdir())) == 3
