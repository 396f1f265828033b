"""Images and masks of one's own, in two folders, as mmseg's ``BaseSegDataset`` reads them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from ..utils.files import write_atomically
from .layouts import DataError

_FOLDERS = (('images', 'masks'), ('images', 'labels'), ('img_dir', 'ann_dir'))
_FOLDERS += (('JPEGImages', 'SegmentationClass'),)
_SPLITS = (('train', 'val'), ('train', 'validation'), ('training', 'validation'))
_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_IGNORED = 255
_HELD_OUT = 10  # one image of so many validates, where no one says which
_SHOWN = 8


@dataclass(frozen=True)
class OwnFolders:
    """What :func:`read_own_folders` found."""

    classes: list[str]
    counts: dict[str, int]  # images of 'train' and 'val'
    notes: list[str]  # what was written, and which masks have no image
    dataset: dict[str, dict[str, Any]]  # of 'train' and 'val': arguments of ``BaseSegDataset``


def read_own_folders(
    root: Path,
    names: Path,
    values: Optional[Sequence[int]] = None,
    ignore_index: int = _IGNORED,
    reduce_zero_label: bool = False,
) -> OwnFolders:
    """Find images, masks and their split, look at every mask, and convert them where needed.

    Folders: 'images' and 'masks' ('labels'), or mmseg's 'img_dir' and 'ann_dir', or VOC's. Split:
    subfolders 'train' and 'val', or 'train.txt' and 'val.txt' of names; else every tenth image
    validates, and these lists are written. Masks that hold other values than 0 to classes - 1 and
    255 are written anew, beside the old ones, in ``*_as_classes``.

    Args:
        root: the folder of both.
        names: a text file, the name of a class in each line.
        values: of the mask, for each class. None: 0, 1, 2, and so on; 0 and 255 for two classes
            where these are what the masks hold.
        ignore_index: the value of pixels that do not count.
        reduce_zero_label: 0 is what does not count, the classes begin with 1, as in ADE20K.

    Raises:
        DataError: what is not there or does not fit, with what would.
    """
    classes = _read_names(names)
    if reduce_zero_label:
        values, ignore_index = values or range(1, len(classes) + 1), 0
    if values is not None and (len(values) != len(classes) or len({*values}) < len(classes)):
        raise DataError(
            f'--label-values must be {len(classes)} different values, one for each class of '
            f'{names}, got {" ".join(map(str, values))}'
        )
    images, masks = _find_folders(root)
    splits, notes = _find_splits(root, images)
    prefixes = sorted({prefix for prefix, _ in splits.values()})
    files = {prefix: _images_of(root / images / prefix) for prefix in prefixes}
    suffixes = Counter(path.suffix for of in files.values() for path in of)
    if len(suffixes) != 1:
        raise DataError(
            f'{root / images} must hold images of one ending ({", ".join(_IMAGES)}), it has '
            + (', '.join(f'{count} {suffix}' for suffix, count in suffixes.items()) or 'none')
        )
    suffix, found = next(iter(suffixes)), Counter()
    for prefix in prefixes:
        for path in files[prefix]:
            found.update(_values_of(root / masks / prefix / f'{path.stem}.png', path))
    values = _values_of_classes(found, classes, values, ignore_index)
    if values is not None:
        old, masks = masks, f'{masks}_as_classes'
        for prefix in prefixes:
            _convert(root / old / prefix, root / masks / prefix, files[prefix], values)
        texts = ', '.join(f'{value} is {name}' for value, name in zip(values, classes))
        notes.append(f'{root / masks} is written: {texts}; all else is ignored')
    dataset, counts = {}, {}
    for name, (prefix, listed) in splits.items():
        places = [f'{folder}/{prefix}'.rstrip('/') for folder in (images, masks)]
        dataset[name] = dict(
            type='BaseSegDataset',
            data_root=str(root.resolve()),
            data_prefix=dict(img_path=places[0], seg_map_path=places[1]),
            img_suffix=suffix,
            seg_map_suffix='.png',
            metainfo=dict(classes=classes),
            reduce_zero_label=False,
            ann_file=listed,
        )
        counts[name] = len(files[prefix])
        if listed:
            counts[name] = len((root / listed).read_text(encoding='utf-8').split())
    return OwnFolders(classes, counts, notes, dataset)


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(f'--classes: there is no file {path}; it has the name of a class per line')
    lines = (line.strip() for line in path.read_text(encoding='utf-8').splitlines())
    classes = [line for line in lines if line]
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if len(classes) < 2 or twice:
        why = f'names {twice[0]!r} twice' if twice else f'names {len(classes)}'
        raise DataError(f'--classes {path} must name at least two different classes, it {why}')
    return classes


def _find_folders(root: Path) -> tuple[str, str]:
    for pair in _FOLDERS:
        if all((root / name).is_dir() for name in pair):
            return pair
    there = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    raise DataError(
        f'--data {root} must hold two folders, {" or ".join(" and ".join(of) for of in _FOLDERS)}; '
        + (
            f'it has {", ".join(there[:_SHOWN]) or "nothing"}'
            if root.is_dir()
            else 'it is no folder'
        )
    )


def _find_splits(root: Path, images: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Subfolder and list of names of 'train' and 'val', one of them empty; what was done."""
    for names in _SPLITS:
        if all((root / images / name).is_dir() for name in names):
            return {key: (name, '') for key, name in zip(('train', 'val'), names)}, []
    for folder in ('', 'ImageSets/Segmentation/'):
        lists = {name: f'{folder}{name}.txt' for name in ('train', 'val')}
        if all((root / path).is_file() for path in lists.values()):
            return {name: ('', path) for name, path in lists.items()}, []
    stems = [path.stem for path in _images_of(root / images)]
    if len(stems) < 2:
        raise DataError(f'{root / images} has {len(stems)} images: at least 2 are needed')
    parts = dict(val=stems[::_HELD_OUT])
    parts['train'] = [stem for stem in stems if stem not in {*parts['val']}]
    for name, part in parts.items():
        write_atomically(root / f'{name}.txt', ''.join(f'{stem}\n' for stem in part))
    note = f'{root}/train.txt and val.txt are written: every {_HELD_OUT}th image validates'
    return {name: ('', f'{name}.txt') for name in ('train', 'val')}, [note]


def _images_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES)


def _read_mask(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int64)


def _values_of(mask: Path, image: Path) -> list[int]:
    if not mask.is_file():
        raise DataError(f'{image} has no mask: there is no {mask} (masks are .png files)')
    try:
        values = _read_mask(mask)
    except Exception as error:  # whatever a decoder raises
        raise DataError(f'mask {mask} cannot be read: {error}') from error
    if values.ndim != 2:
        raise DataError(
            f'mask {mask} has colours, {values.shape[2]} channels: a palette or gray values are '
            'needed, one value for each class'
        )
    return np.unique(values).tolist()


def _values_of_classes(
    found: Counter, classes: Sequence[str], values: Optional[Sequence[int]], ignore_index: int
) -> Optional[list[int]]:
    """What the masks have to be converted by; None: they are right as they are."""
    count, ids = len(classes), {*found} - {ignore_index}
    if values is None and count == 2 and {*found} == {0, 255}:
        return [0, 255]
    if values is None and ids <= {*range(count)}:
        is_plain = ignore_index == _IGNORED or ignore_index not in found
        return None if is_plain else list(range(count))
    strange = sorted(ids - {*(range(count) if values is None else values)})
    if strange:
        more = ', ...' if len(strange) > _SHOWN else ''
        raise DataError(
            f'the masks hold {", ".join(map(str, strange[:_SHOWN]))}{more}, which are none of the '
            f'{count} classes nor --ignore-index {ignore_index}: give the value of each class '
            '(--label-values), --reduce-zero-label where the classes begin with 1 and 0 does not '
            'count, or name all classes'
        )
    return [*values]


def _convert(old: Path, new: Path, images: Sequence[Path], values: Sequence[int]) -> None:
    new.mkdir(parents=True, exist_ok=True)
    for path in images:
        mask = _read_mask(old / f'{path.stem}.png')
        ids = np.full(mask.shape, _IGNORED, np.uint8)
        for index, value in enumerate(values):
            ids[mask == value] = index
        Image.fromarray(ids).save(new / f'{path.stem}.png')
