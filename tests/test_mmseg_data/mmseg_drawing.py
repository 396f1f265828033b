"""Draws the files of a data set where a data set config of mmseg looks for them."""

import inspect
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from PIL import Image

# (height, width), odd ones too; depth's metric leaves out the outer 45 rows and 41 columns.
SIZES = ((61, 97), (96, 64), (80, 121))
DEPTH_SIZES = ((96, 128), (97, 131), (128, 96))


def draw(dataset: dict) -> int:
    """Draw the files of a data set proper, no wrapper, below its ``data_root``; how many images."""
    kind = DATASETS.get(f'mmseg.{dataset["type"]}')
    settings = _settings(kind, dataset)
    root, prefix = Path(dataset['data_root']), dataset['data_prefix']
    is_depth = 'depth_map_path' in prefix
    # LEVIR's and Synapse's are of one size, and nothing crops them.
    is_of_one_size = 'img_path2' in prefix or dataset['type'] == 'SynapseDataset'
    sizes = DEPTH_SIZES if is_depth else 3 * ((64, 64),) if is_of_one_size else SIZES
    listed = dataset.get('ann_file', '')
    # Sets that share a folder have a list each: their images have its name.
    stem = Path(listed).stem + '_' if listed else ''
    names = [f'{stem}bathroom_{k}' if k else f'{stem}office_{k}' for k in range(len(sizes))]
    if not listed:
        names[1] = f'folder/{names[1]}'  # as Cityscapes' cities, and mmseg looks there
    rng = np.random.default_rng(zlib.crc32(f'{dataset["type"]}{prefix}{listed}'.encode()))
    for k, (name, size) in enumerate(zip(names, sizes)):
        for key in ('img_path', 'img_path2'):
            if key in prefix:
                suffix = settings['img_suffix' + key.removeprefix('img_path')]
                _save(rng.integers(0, 256, (*size, 3), np.uint8), root / prefix[key], name + suffix)
        if is_depth:
            # Of 16 bits, in millimetres; 0 where it was not measured.
            depth = _blocks(rng, np.arange(0, 9000, 300), size).astype(np.uint16)
            _save(depth, root / prefix['depth_map_path'], name + settings['depth_map_suffix'])
        else:
            label = _blocks(rng, ids_of_files(dataset), size).astype(np.uint8)
            _save(label, root / prefix['seg_map_path'], name + settings['seg_map_suffix'], k == 0)
    if listed.endswith('.yaml'):  # our stand-in for dsdl reads pairs of files
        suffixes = (settings['img_suffix'], settings['seg_map_suffix'])
        names = [name + suffix for name in names for suffix in suffixes]
    if listed:
        (root / listed).parent.mkdir(parents=True, exist_ok=True)
        (root / listed).write_text('\n'.join(names) + '\n')
    return len(sizes)


def ids_of_files(dataset: dict) -> list[int]:
    """The ids that the label files of a data set may hold: before mmseg maps them to classes."""
    kind = DATASETS.get(f'mmseg.{dataset["type"]}')
    if dataset['type'] == 'DSDLSegDataset':
        from stand_ins import CLASSES

        return [*range(len(CLASSES) + 1), 255]
    classes = len(kind.METAINFO['classes'])  # also where the config takes some of them
    if classes == 2 or dataset['type'] == 'SynapseDataset':
        return [*range(classes)]  # no pixel is ignored; mmseg's RandomRotFlip blends Synapse's ids
    return [*range(classes + _settings(kind, dataset).get('reduce_zero_label', False)), 255]


def _settings(kind: type, dataset: dict) -> dict[str, Any]:
    """The arguments of a data set, with the defaults of its class and those below it."""
    found: dict[str, Any] = {}
    for owner in reversed(kind.__mro__):
        if '__init__' in vars(owner) and owner is not object:
            parameters = inspect.signature(owner.__init__).parameters.values()
            found |= {p.name: p.default for p in parameters if p.default is not p.empty}
    if kind.__name__ == 'REFUGEDataset':
        found['img_suffix'] = '.png'  # its __init__ takes none
    return found | dataset


def _blocks(rng: np.random.Generator, values: Any, size: tuple[int, int]) -> np.ndarray:
    """A map of blocks of 5 x 7 pixels, each of one of the values."""
    blocks = rng.choice(np.asarray(values), (size[0] // 5 + 1, size[1] // 7 + 1))
    return blocks.repeat(5, axis=0).repeat(7, axis=1)[: size[0], : size[1]]


def _save(pixels: np.ndarray, folder: Path, name: str, has_palette: bool = False) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if has_palette:
        image.putpalette(list(range(256)) * 3)  # makes its mode P, with the same ids
    image.save(path)
