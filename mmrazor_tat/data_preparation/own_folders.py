"""Images and masks of one's own, in two folders, as mmseg's ``BaseSegDataset`` reads them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from ..utils.files import write_atomically
from .layouts import DataError
from .own_splits import IMAGES, find_folders, find_splits

_IGNORED = 255
_SHOWN = 8
_ORIENTATION = 274  # of EXIF: from 5 on rows are columns


@dataclass(frozen=True)
class OwnFolders:
    """What :func:`read_own_folders` found."""

    classes: list[str]
    counts: dict[str, int]  # images of 'train' and 'val'
    notes: list[str]  # what was written, what is not used, which classes do not occur
    dataset: dict[str, dict[str, Any]]  # of 'train' and 'val': arguments of ``BaseSegDataset``


def read_own_folders(
    root: Path,
    names: Path,
    values: Optional[Sequence[int]] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: bool = False,
    force: bool = False,
) -> OwnFolders:
    """Find images, masks and their split, look at every mask, and convert them where needed.

    Folders: 'images' and 'masks' ('labels'), or mmseg's 'img_dir' and 'ann_dir', or VOC's. Split:
    subfolders 'train' and 'val', or 'train.txt' and 'val.txt' of names, of which alone images and
    masks have to be there; else every tenth image validates, and these lists are written. Masks
    that hold other values than 0 to classes - 1 and 255 are written anew, beside the old ones, in
    ``*_as_classes``.

    Args:
        root: the folder of both.
        names: a text file, the name of a class in each line.
        values: of the mask, for each class. None: 0, 1, 2, and so on; 0 and 255 for two classes
            where these are what the masks hold and ``ignore_index`` is None.
        ignore_index: the value of pixels that do not count, beside 255 (which never does, unless it
            is the value of a class).
        reduce_zero_label: 0 does not count, the classes begin with 1, as in ADE20K.
        force: write over masks of an earlier conversion that were others.

    Raises:
        DataError: what is not there or does not fit, with what would; nothing is written then.
    """
    classes = _read_names(names)
    if reduce_zero_label and values is None:
        values = range(1, len(classes) + 1)
    if values is not None and (len(values) != len(classes) or len({*values}) < len(classes)):
        raise DataError(
            f'--label-values must be {len(classes)} different values, one for each class of '
            f'{names}, got {" ".join(map(str, values))}'
        )
    of_classes = [*(range(len(classes)) if values is None else values)]
    options = {
        '--ignore-index': ignore_index,
        '--reduce-zero-label': 0 if reduce_zero_label else None,
    }
    for option, value in options.items():
        if value in of_classes:
            name = classes[of_classes.index(value)]
            raise DataError(
                f'{option}: {value} does not count, and is the value of the class {name!r}: give '
                'the value of each class (--label-values), or --reduce-zero-label where the '
                'classes begin with 1'
            )
    ignored = {*options.values()} - {None}
    images, masks = find_folders(root)
    splits, notes = find_splits(root, images, masks)
    for name, of in splits.items():
        if not of.images:
            raise DataError(f'{root / (of.listed or f"{images}/{of.folder}")} has no image: {name}')
    endings = Counter(end for of in splits.values() for ends in of.images.values() for end in ends)
    if len(endings) != 1:
        raise DataError(
            f'{root / images} must hold images of one ending ({", ".join(IMAGES)}), it has '
            + (', '.join(f'{count} {ending}' for ending, count in endings.items()) or 'none')
        )
    (suffix,), found = endings, Counter()
    for of in splits.values():
        for name in of.images:
            mask = root / masks / of.folder / f'{name}.png'
            found.update(_values_of(mask, root / images / of.folder / f'{name}{suffix}'))
    absent = [name for value, name in zip(of_classes, classes) if value not in found]
    values = _values_of_classes(found, classes, values, ignored)
    if values is not None:
        absent = [name for value, name in zip(values, classes) if value not in found]
        old, masks = masks, f'{masks}_as_classes'
        for write in (False, True):
            for of in splits.values():
                places = root / old / of.folder, root / masks / of.folder
                _convert(*places, of.images, values, write, force)
        texts = ', '.join(f'{value} is {name}' for value, name in zip(values, classes))
        notes.append(f'{root / masks} is written: {texts}; all else is ignored')
    if absent:
        notes.append(
            f'no mask holds {", ".join(absent[:_SHOWN])}{", ..." * (len(absent) > _SHOWN)}'
        )
    dataset = {}
    for name, of in splits.items():
        if of.listed and not (root / of.listed).exists():
            write_atomically(root / of.listed, ''.join(f'{image}\n' for image in of.images))
            notes.append(f'{root / of.listed} is written')
        places = [f'{folder}/{of.folder}'.rstrip('/') for folder in (images, masks)]
        dataset[name] = dict(
            type='BaseSegDataset',
            data_root=str(root.resolve()),
            data_prefix=dict(img_path=places[0], seg_map_path=places[1]),
            img_suffix=suffix,
            seg_map_suffix='.png',
            metainfo=dict(classes=classes),
            reduce_zero_label=False,
            ann_file=of.listed,
        )
    counts = {name: len(of.names) for name, of in splits.items()}
    return OwnFolders(classes, counts, notes, dataset)


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(f'--classes: there is no file {path}; it has the name of a class per line')
    try:
        lines = [line.strip() for line in path.read_text(encoding='utf-8-sig').splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f'--classes {path} must be a text in UTF-8: {error}') from error
    classes = [line for line in lines if line]
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if len(classes) > _IGNORED:
        raise DataError(
            f'--classes {path} names {len(classes)}: mmseg reads masks of 8 bits, and '
            f'{_IGNORED} does not count, so there can be {_IGNORED}'
        )
    if len(classes) < 2 or twice:
        why = f'names {twice[0]!r} twice' if twice else f'names {len(classes)}'
        raise DataError(f'--classes {path} must name at least two different classes, it {why}')
    return classes


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
    try:
        with Image.open(image) as opened:
            size = opened.size
            if opened.getexif().get(_ORIENTATION, 1) >= 5:  # it is read in a training as it stands
                size = size[::-1]
    except Exception as error:
        raise DataError(f'image {image} cannot be read: {error}') from error
    if size != values.shape[::-1]:
        raise DataError(
            f'mask {mask} is {values.shape[1]} x {values.shape[0]} pixels, its image {image} '
            f'{size[0]} x {size[1]}: both must have one size'
        )
    return np.unique(values).tolist()


def _values_of_classes(
    found: Counter, classes: Sequence[str], values: Optional[Sequence[int]], ignored: set[int]
) -> Optional[list[int]]:
    """What the masks have to be converted by; None: they are right as they are."""
    count = len(classes)
    if values is None and not ignored and count == 2 and {*found} == {0, _IGNORED}:
        return [0, _IGNORED]
    strange = {*found} - {*(range(count) if values is None else values)} - {_IGNORED, *ignored}
    if strange:
        more = ', ...' if len(strange) > _SHOWN else ''
        raise DataError(
            f'the masks hold {", ".join(map(str, sorted(strange)[:_SHOWN]))}{more}, which are none '
            f'of the {count} classes nor ignored '
            f'({", ".join(map(str, sorted({_IGNORED, *ignored})))}): give the value of each class '
            '(--label-values), --reduce-zero-label where the classes begin with 1 and 0 does not '
            'count, or name all classes'
        )
    if values is None and not {*found} & (ignored - {_IGNORED}):
        return None
    return [*(range(count) if values is None else values)]


def _convert(
    old: Path, new: Path, names: Iterable[str], values: Sequence[int], write: bool, force: bool
) -> None:
    """Masks of classes; ``write`` False: only look that no others would be written over."""
    for name in names:
        mask, file = _read_mask(old / f'{name}.png'), new / f'{name}.png'
        ids = np.full(mask.shape, _IGNORED, np.uint8)
        for index, value in enumerate(values):
            ids[mask == value] = index
        if write:
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids).save(file)
        elif file.exists() and not force and not np.array_equal(_read_mask(file), ids):
            raise DataError(
                f'{file} holds another mask, maybe of another recipe: move its folder away, or add '
                '--force'
            )
