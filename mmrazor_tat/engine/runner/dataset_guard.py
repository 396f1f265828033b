"""A data set held to what can be known before a training begins."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Optional

from mmengine.dataset import Compose
from torch.utils.data import Dataset

from .checked_pipeline import CheckedPipeline


def guard_dataset(
    dataset: Dataset,
    check_files: bool = True,
    ignored: Collection[int] = (),
    refused: Optional[Mapping[int, str]] = None,
) -> None:
    """Refuse an empty data set or one without its files; let errors in samples name their files.

    Of a built one, also a wrapper around others, the pipeline becomes a ``CheckedPipeline`` of the
    same transforms. Looking for files is a ``stat`` each; ``ignored`` are ids that the losses do
    not count, besides the data set's ``ignore_index``, ``refused`` those that one cannot take, with
    its words.
    """
    if hasattr(dataset, '__len__') and len(dataset) == 0:
        raise ValueError(no_images(dataset))
    for leaf in leaves(dataset):
        if not _is_read_by_mmengine(leaf):
            continue
        if check_files:
            _check_files(leaf)
        pipeline = getattr(leaf, 'pipeline', None)
        if type(pipeline) is Compose:
            if not pipeline.transforms:
                raise ValueError(
                    f'the pipeline of the {type(leaf).__name__} is empty: it has to load images '
                    'and to pack them (LoadImageFromFile, PackSegInputs)'
                )
            classes = (getattr(leaf, 'metainfo', None) or {}).get('classes')
            uncounted = sorted({*own_ignored(leaf), *ignored})
            count = classes and len(classes)
            leaf.pipeline = CheckedPipeline(pipeline, count, uncounted, refused)


def own_ignored(dataset: Any) -> set[int]:
    """Ids that a data set may hold beside its classes: mmseg's transforms write 255 in any case."""
    ignored = getattr(dataset, 'ignore_index', None)
    return {255, ignored} if isinstance(ignored, int) else {255}


def _is_read_by_mmengine(dataset: Any) -> bool:
    """Else it may catch what its transforms raise, and do without a file."""
    methods = (getattr(type(dataset), name, None) for name in ('__getitem__', 'prepare_data'))
    return all(
        method is None or method.__module__.split('.')[0] in ('mmengine', 'mmseg', 'mmpretrain')
        for method in methods
    )


def no_images(dataset: Any) -> str:
    """What is said of an empty data set, built or a config."""
    read = dataset.get if isinstance(dataset, dict) else lambda key: getattr(dataset, key, None)
    keys = ('data_root', 'ann_file') if read('ann_file') else ('data_root', 'img_suffix')
    parts = [f'{key} {str(read(key))!r}' for key in keys if read(key)]
    kind = read('type') if isinstance(dataset, dict) else type(dataset).__name__
    return f'the {kind} of {" and ".join(parts) or "the config"} has no image'


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets proper, below any wrapper."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
    for one in inner if isinstance(inner, (list, tuple)) else [inner]:
        if one is not None:
            yield from leaves(one)


def _check_files(dataset: Any) -> None:
    """Raise for the first files that are missing or empty, of those that mmcv's loaders read."""
    on_disk = not getattr(dataset, 'backend_args', None)  # else paths are another storage's
    if not hasattr(dataset, 'get_data_info') or not len(dataset) or not on_disk:
        return
    first, keys = dataset.get_data_info(0), []
    loaders = dict(LoadImageFromFile='img_path', LoadAnnotations='seg_map_path')
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        key = loaders.get(type(transform).__name__)
        is_known = type(transform).__module__.split('.')[0] in ('mmcv', 'mmseg')
        # With ignore_empty mmengine takes another image in place of one that is not there.
        may_lack = any(getattr(transform, of, None) for of in ('ignore_empty', 'backend_args'))
        if is_known and not may_lack and isinstance(first.get(key), str):
            keys.append(key)
    infos = map(dataset.get_data_info, range(len(dataset) if keys else 0))
    paths = [path for info in infos for path in (info[key] for key in keys) if '://' not in path]
    missing = [path for path in paths if not os.path.isfile(path)]
    empty = [] if missing else [path for path in paths if not os.path.getsize(path)]
    for files, what in ((missing, 'missing'), (empty, 'empty, 0 bytes')):
        if files:
            more = f' and {len(files) - 1} more' if len(files) > 1 else ''
            split = getattr(dataset, 'ann_file', '')
            named = f'; the split {split!r} names {len(dataset)} images' if split else ''
            raise FileNotFoundError(f'{files[0]!r}{more} of the data set is {what}{named}')
