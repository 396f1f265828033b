"""Random numbers that follow from where a training is, not from how it came there.

Each draw has an address: the run's seed, what it is for, the process, the place. A run that goes on
from a checkpoint then draws what it would have drawn anyway, and no state of a generator has to be
kept, in no process and in no worker of a data loader.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

STEP, SAMPLE, VALIDATION = range(3)  # what random numbers are for


def seed_generators(seed: int, *address: int) -> None:
    """Set the generators of python, numpy and torch (all devices) by a seed and an address."""
    torch.manual_seed(_seed_cpu(seed, *address))


def _seed_cpu(seed: int, *address: int) -> int:
    words = np.random.SeedSequence([seed, *address]).generate_state(4)
    first, second = (int(high) << 32 | int(low) for high, low in words.reshape(2, 2))
    random.seed(first)
    np.random.seed(words)
    # Not torch.manual_seed: a worker of a data loader has nothing to do with a GPU.
    torch.default_generator.manual_seed(second)
    return second


class NumberedIndex(int):
    """The index of an image that knows as which one it was drawn.

    ``place`` is (pass over the data, number), counted over all processes: process r of W draws
    the images r, r + W, r + 2 W, ... of what a single process would draw.
    """

    place: tuple[int, int]


class NumberedSampler(Sampler):
    """A sampler's indices, each with its place in the sampler's order.

    Args:
        sampler: gives indices; where it has an ``epoch``, that is the number of the pass.
        skip: how many indices the first pass leaves out, without a look at their images.
        rank, world_size: of the process.
    """

    def __init__(self, sampler: Sampler, skip: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.sampler = sampler
        self.skip = skip
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

    Args:
        dataset: whose items are given.
        seed: of the run.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __call__(self, indices: Sequence[int]) -> list:
        return [self._item(index) for index in indices]

    def _item(self, index: int) -> Any:
        _seed_cpu(self.seed, SAMPLE, *getattr(index, 'place', (0, int(index))))
        return self.dataset[int(index)]
