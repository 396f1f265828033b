"""Random numbers by address, and data that go on in the middle."""

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset, Sampler

from mmrazor_tat.engine.runner.random_state import (
    SAMPLE,
    STEP,
    NumberedSampler,
    can_be_numbered,
    number_images,
    restart,
    seed_generators,
)


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_an_address_gives_the_same_numbers_whatever_came_before():
    seed_generators(3, STEP, 0, 17)
    first = draw()
    draw()
    seed_generators(3, STEP, 0, 17)
    assert draw() == first
    others = [(4, STEP, 0, 17), (3, SAMPLE, 0, 17), (3, STEP, 1, 17), (3, STEP, 0, 18)]
    seen = {first}
    for address in others:
        seed_generators(*address)
        seen.add(draw())
    assert len(seen) == 5 and all(len({s[i] for s in seen}) == 5 for i in range(3))


def test_addresses_are_spread():
    """Means and neighbours of many addresses look like those of one stream."""
    values = []
    for iteration in range(1000):
        seed_generators(0, STEP, 0, iteration)
        values.append(draw())
    values = np.array(values)
    assert np.abs(values.mean(0) - 0.5).max() < 0.04  # the deviation of a mean is 0.009
    assert np.abs(values.var(0) - 1 / 12).max() < 0.01
    for column in values.T:
        assert abs(np.corrcoef(column[:-1], column[1:])[0, 1]) < 0.1


class Augmented(Dataset):
    """Gives (index, random number, random number): an image and its augmentation."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple:
        assert type(index) is int
        return index, float(np.random.rand()), float(torch.rand(()))


def loader(sampler=InfiniteSampler, workers: int = 0, drop_last: bool = False) -> DataLoader:
    data = Augmented()
    options = dict(num_workers=workers, persistent_workers=workers > 0, drop_last=drop_last)
    made = DataLoader(data, 4, sampler=sampler(data, seed=1), collate_fn=list, **options)
    number_images(made, seed=5)
    return made


def read(sampler, start: int, stop: int, workers: int = 0, drop_last: bool = False) -> list:
    iterator = restart(loader(sampler, workers, drop_last), start)
    iterator_sleeps = 'mmengine.runner.loops.time.sleep'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iterator_sleeps, lambda seconds: None)
        if hasattr(type(iterator).__mro__[1], 'skip_iter'):
            iterator.skip_iter(start)
        else:
            for _ in range(start):
                next(iterator)
        return [next(iterator) for _ in range(start, stop)]


@pytest.mark.parametrize('sampler', [InfiniteSampler, DefaultSampler])
@pytest.mark.parametrize('drop_last', [False, True])
def test_data_go_on_where_they_were(sampler, drop_last):
    whole = read(sampler, 0, 12, drop_last=drop_last)
    for start in (1, 2, 3, 6, 7):
        assert read(sampler, start, 12, drop_last=drop_last) == whole[start:]
    augmentations = [value for batch in whole for _, *values in batch for value in values]
    assert len(set(augmentations)) == len(augmentations)


def test_workers_draw_the_same():
    whole = read(InfiniteSampler, 0, 8)
    assert read(InfiniteSampler, 0, 8, workers=2) == whole
    assert read(InfiniteSampler, 3, 8, workers=2) == whole[3:]


class Odd(InfiniteSampler):
    """A sampler that nobody knows: its data are read up to the place, not left out."""


def test_an_unknown_sampler_is_read_up_to_the_place():
    whole = read(Odd, 0, 6)
    assert read(Odd, 4, 6) == whole[4:]


def test_skipping_reads_nothing(monkeypatch):
    made = loader()
    assert can_be_numbered(made)
    assert not can_be_numbered(DataLoader(Augmented(), batch_size=None))
    reads = []
    monkeypatch.setattr(Augmented, '__getitem__', lambda self, index: reads.append(index))
    iterator = restart(made, 1000)
    assert reads == []
    if not hasattr(type(iterator).__mro__[1], 'skip_iter'):
        for _ in range(1000):
            assert next(iterator) is None
    next(iterator)
    assert len(reads) == 4


def test_processes_draw_what_one_draws():
    """Process r of 2 gives the draws r, r + 2, ... with their numbers."""
    order = [3, 1, 4, 0, 2, 5]
    one = [(int(i), i.place) for i in NumberedSampler(order)]
    two = [
        [(int(i), i.place) for i in NumberedSampler(order[rank::2], rank=rank, world_size=2)]
        for rank in (0, 1)
    ]
    assert sorted(two[0] + two[1], key=lambda drawn: drawn[1]) == one


def test_a_numbered_sampler_passes_on_what_it_is_asked():
    class Sized(Sampler):
        epoch, more = 3, 'more'

        def __iter__(self):
            return iter([5, 6])

        def __len__(self):
            return 2

    sampler = NumberedSampler(Sized(), skip=1)
    assert len(sampler) == 2 and sampler.more == 'more'
    assert [(i, i.place) for i in sampler] == [(6, (3, 1))]
    assert [(i, i.place) for i in sampler] == [(5, (3, 0)), (6, (3, 1))]
    with pytest.raises(AttributeError):
        sampler.less  # noqa: B018
