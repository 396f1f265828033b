"""Where a training is in its data: images drawn by address, and going on in the middle."""

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_dist_info
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import BatchSampler, DataLoader

from .randomness import NumberedSampler, SeededItems


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
    """An endless iterator whose next batch is that of ``iteration``, as if all had been read.

    Args:
        loader: with numbered images; an iterator over it must not be in use.
        iteration: how many batches have been trained.
    """
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
    """Has been advanced without reading: what mmengine does to advance it costs nothing.

    Args:
        loader: what is iterated.
        passes: how many times it has been read to its end.
        iterations: by how many batches it has been advanced.
    """

    def __init__(self, loader: DataLoader, passes: int, iterations: int) -> None:
        super().__init__(loader)
        self._epoch = passes
        self._has_skip = hasattr(_InfiniteDataloaderIterator, 'skip_iter')
        self._is_advanced = bool(iterations)
        self._free = 0 if self._has_skip else iterations

    def __next__(self):
        if self._free:
            self._free -= 1
            return None
        return super().__next__()

    def skip_iter(self, num_iters: int) -> None:
        """Of later mmengine versions."""
        if not self._is_advanced:
            super().skip_iter(num_iters)
