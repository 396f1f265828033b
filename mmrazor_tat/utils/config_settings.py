"""The dicts of a config, wherever they stand, and settings that stand in many of them."""

from collections.abc import Iterator
from os import PathLike, fspath
from typing import Any, Optional, Union

from mmengine import Config

from .configs import model_of


def type_name(kind: Any) -> str:
    """Of a type in a config, which may be a class: its name without a scope."""
    return getattr(kind, '__name__', str(kind)).split('.')[-1]


def dicts_of(node: Any, path: str = '') -> Iterator[tuple[str, dict]]:
    """(dotted key, dict) of a config, or a part of it at ``path``; an outer one comes first."""
    if isinstance(node, Config):
        node = node._cfg_dict
    if isinstance(node, dict):
        yield path, node
        items: Any = list(node.items())
    else:
        items = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in items:
        yield from dicts_of(value, f'{path}.{key}' if path else str(key))


def set_crop_size(cfg: Config, size: tuple[int, int]) -> None:
    """Set the training crop wherever a config holds it, in place.

    mmseg configs hold it in every training pipeline (``RandomCrop``, ``Pad``) and in the data
    preprocessor, which otherwise pads a smaller crop back to its own size in silence.

    ValueError where ``size``, (height, width) in pixels, is not two positive integers, or the
    config has no crop.
    """
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(isinstance(length, int) and length > 0 for length in size):
        raise ValueError(f'crop_size must be two positive integers (height, width), got {size!r}')
    size = tuple(size)
    parts = [part for _, part in dicts_of(cfg.get('train_dataloader', {}))]
    if not any(part.get('type') == 'RandomCrop' for part in parts):
        raise ValueError('crop_size: no RandomCrop in train_dataloader, so there is none to set')
    for part in parts:
        if part.get('type') == 'RandomCrop':
            part['crop_size'] = size
        elif part.get('type') == 'Pad' and 'size' in part:
            part['size'] = size
    for owner in (cfg, *(part for _, part in dicts_of(cfg.get('model', {})))):
        preprocessor = owner.get('data_preprocessor')
        if preprocessor and 'size' in preprocessor:
            preprocessor['size'] = size
    cfg['crop_size'] = size


_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_data_root(cfg: Config, root: Union[str, PathLike]) -> None:
    """Set ``data_root`` of every data set that a config trains and evaluates on, in place.

    mmseg configs hold it once for each data set, within ``ConcatDataset`` and its like too; the one
    at a config's top is only what those were written from. ValueError where ``root`` is no path, or
    the config has no data set.
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
    inner = list(node) if isinstance(node, (list, tuple)) else []
    if isinstance(node, dict):
        inner = [node[key] for key in ('dataset', 'datasets') if key in node]
        if not inner:
            yield node
    for item in inner:
        yield from _leaves(item)


def set_pretrained(cfg: Config, weights: Optional[str]) -> None:
    """Set what the backbone of the network that is trained (of a recipe the student's) starts from,
    in place: path, URL or mmengine's name of a checkpoint; None: random weights; else a ValueError.

    mmseg configs have ``pretrained`` at the network or at its backbone, or an ``init_cfg`` of type
    'Pretrained' at the backbone.
    """
    if weights is not None and (not isinstance(weights, str) or not weights):
        raise ValueError(f'pretrained must be None or the text of a checkpoint, got {weights!r}')
    network = model_of(cfg)
    backbone = network.get('backbone') or {}
    if (backbone.get('init_cfg') or {}).get('type') == 'Pretrained':
        backbone['init_cfg'] = None
    if 'pretrained' in backbone:
        backbone['pretrained'] = None
    # One place only: mmseg refuses weights at both.
    if weights is not None or 'pretrained' in network:
        network['pretrained'] = weights
    cfg['pretrained'] = weights
