"""The random numbers of a run and its position in the data, kept and put back."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import BatchSampler, DataLoader, Sampler

STEP, SAMPLE, VALIDATION = range(3)  # what random numbers are for


def seed_generators(seed: int, *address: int, on_devices: bool = True) -> None:
    """Set the generators of python, numpy and torch by a seed and an address."""
    words = np.random.SeedSequence([seed, *address]).generate_state(4)
    first, second = (int(high) << 32 | int(low) for high, low in words.reshape(2, 2))
    random.seed(first)
    np.random.seed(words)
    (torch if on_devices else torch.default_generator).manual_seed(second)


class NumberedIndex(int):
    """The index of an image that knows as which one it was drawn.

    ``place`` is (pass over the data, number), counted over all processes: process r of W draws
    the images r, r + W, r + 2 W, ... of what a single process would draw.
    """

    place: tuple[int, int]


class NumberedSampler(Sampler):
    """A sampler's indices, each with its place in the sampler's order; its ``epoch`` is the number
    of the pass. The first pass leaves ``skip`` indices out, without a look at their images."""

    def __init__(self, sampler: Sampler, skip: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.sampler, self.skip = sampler, skip
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[NumberedIndex]:
        order = getattr(self.sampler, 'epoch', 0)
        skip, self.skip = self.skip, 0
        for place, index in enumerate(self.sampler):
            if place >= skip:
                numbered = NumberedIndex(index)
                numbered.place = (order, place * self.world_size + self.rank)
                yield numbered

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:  # e.g. set_epoch, and what batch samplers ask for
        if name == 'sampler':
            raise AttributeError(name)
        return getattr(self.sampler, name)


class SeededItems:
    """What a data loader calls for a batch, in place of the data set's ``__getitem__``.

    Before each image the generators are set by the place of its :class:`NumberedIndex`: its
    augmentation is the same in any worker and process, however many there are.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __call__(self, indices: Sequence[int]) -> list:
        items = []
        for index in indices:
            place = getattr(index, 'place', (0, int(index)))
            # A worker of a data loader has nothing to do with a GPU.
            seed_generators(self.seed, SAMPLE, *place, on_devices=False)
            items.append(self.dataset[int(index)])
        return items


def can_be_numbered(loader: DataLoader) -> bool:
    """Whether the order of a loader is one of indices, and its data set gives an image for each."""
    sampler, dataset = getattr(loader.batch_sampler, 'sampler', None), loader.dataset
    gives_batches = hasattr(type(dataset), '__getitems__')
    return sampler is not None and not gives_batches and hasattr(dataset, '__dict__')


def number_images(loader: DataLoader, seed: int) -> None:
    """Have each image of a loader augmented by its place in the order; before its workers start."""
    batches = loader.batch_sampler
    if not isinstance(batches.sampler, NumberedSampler):
        rank, world_size = get_dist_info()
        batches.sampler = NumberedSampler(batches.sampler, rank=rank, world_size=world_size)
    # torch's loaders ask for it since 2.0.
    loader.dataset.__getitems__ = SeededItems(loader.dataset, seed)


def restart(loader: DataLoader, iteration: int) -> 'AdvancedIterator':
    """An endless iterator whose next batch is that of ``iteration``, as if all had been read;
    images are numbered, and no iterator over the loader is in use."""
    loader._iterator = None  # persistent workers have the data set as it was before
    batches = loader.batch_sampler
    sampler = batches.sampler.sampler
    if isinstance(sampler, InfiniteSampler):
        sampler.indices = sampler._indices_of_rank()  # its order is used up as it is read
    passes = 0
    # Exactly these: others, and samplers of batches, may choose by what they have read.
    can_skip = type(batches) is BatchSampler and type(sampler) in (InfiniteSampler, DefaultSampler)
    if can_skip:
        left_out = iteration
        if isinstance(sampler, DefaultSampler):
            passes, left_out = divmod(iteration, len(loader))
            sampler.set_epoch(passes)
        batches.sampler.skip = left_out * batches.batch_size
    return AdvancedIterator(loader, passes, iteration if can_skip else 0)


class AdvancedIterator(_InfiniteDataloaderIterator):
    """Has been advanced without reading, after ``passes`` to the end: so mmengine need not.

    mmengine does so by ``next``, later versions by ``skip_iter``: of ``iterations`` both are free.
    """

    def __init__(self, loader: DataLoader, passes: int, iterations: int) -> None:
        super().__init__(loader)
        self._epoch, self._is_advanced = passes, bool(iterations)
        self._free = 0 if hasattr(_InfiniteDataloaderIterator, 'skip_iter') else iterations

    def __next__(self):
        if self._free:
            self._free -= 1
            return None
        return super().__next__()

    def skip_iter(self, num_iters: int) -> None:
        if not self._is_advanced:
            super().skip_iter(num_iters)
