"""The data set's folder as one setting."""

from collections.abc import Iterator
from os import PathLike, fspath
from typing import Union

from mmengine import Config

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_data_root(cfg: Config, root: Union[str, PathLike]) -> None:
    """Set ``data_root`` of every data set that a config trains and evaluates on, in place.

    mmseg configs hold it once for each data set, within ``ConcatDataset`` and its like too;
    the ``data_root`` at a config's top is only what those were written from.

    Args:
        cfg: an mmseg config, with or without distillation.
        root: the folder.

    Raises:
        ValueError: ``root`` is no path, or the config has no data set.
    """
    if not isinstance(root, (str, PathLike)) or not fspath(root):
        raise ValueError(f'data_root must be the path of a folder, got {root!r}')
    root = fspath(root)
    datasets = [
        dataset for name in _LOADERS for dataset in _leaves((cfg.get(name) or {}).get('dataset'))
    ]
    if not datasets:
        raise ValueError('data_root: no data set in a dataloader, so there is none to set')
    for dataset in datasets:
        dataset['data_root'] = root
    cfg['data_root'] = root


def _leaves(node) -> Iterator[dict]:
    """The data sets proper: a wrapper, which holds others, takes no ``data_root`` itself."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _leaves(item)
    elif isinstance(node, dict):
        inner = [node[key] for key in ('dataset', 'datasets') if key in node]
        if inner:
            yield from _leaves(inner)
        else:
            yield node
