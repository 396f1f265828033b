"""Images and masks of one's own, in two folders, as mmseg's ``BaseSegDataset`` reads them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image, ImageOps

from ..utils.files import write_atomically
from .layouts import DataError
from .own_splits import IMAGES, find_folders, find_splits

_IGNORED = 255
_SHOWN = 8


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
        reduce_zero_label: 0 is what does not count, the classes begin with 1, as in ADE20K.

    Raises:
        DataError: what is not there or does not fit, with what would; nothing is written then.
    """
    classes = _read_names(names)
    if reduce_zero_label:
        values, ignore_index = values or range(1, len(classes) + 1), 0
    if values is not None and (len(values) != len(classes) or len({*values}) < len(classes)):
        raise DataError(
            f'--label-values must be {len(classes)} different values, one for each class of '
            f'{names}, got {" ".join(map(str, values))}'
        )
    of_classes = [*(range(len(classes)) if values is None else values)]
    if ignore_index in of_classes:
        name = classes[of_classes.index(ignore_index)]
        raise DataError(
            f'--ignore-index {ignore_index} is the value of the class {name!r}: give the value of '
            'each class (--label-values), or --reduce-zero-label where the classes begin with 1'
        )
    images, masks = find_folders(root)
    splits, notes = find_splits(root, images, masks)
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
    values = _values_of_classes(found, classes, values, ignore_index)
    if values is not None:
        absent = [name for value, name in zip(values, classes) if value not in found]
        old, masks = masks, f'{masks}_as_classes'
        for of in splits.values():
            _convert(root / old / of.folder, root / masks / of.folder, of.images, values)
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
    counts = {name: len(of.images) for name, of in splits.items()}
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
    with Image.open(image) as opened:
        size = opened.size
        if size != values.shape[::-1]:
            size = ImageOps.exif_transpose(opened).size  # as it is read in a training
    if size != values.shape[::-1]:
        raise DataError(
            f'mask {mask} is {values.shape[1]} x {values.shape[0]} pixels, its image {image} '
            f'{size[0]} x {size[1]}: both must have one size'
        )
    return np.unique(values).tolist()


def _values_of_classes(
    found: Counter,
    classes: Sequence[str],
    values: Optional[Sequence[int]],
    ignore_index: Optional[int],
) -> Optional[list[int]]:
    """What the masks have to be converted by; None: they are right as they are."""
    count = len(classes)
    if values is None and ignore_index is None and count == 2 and {*found} == {0, _IGNORED}:
        return [0, _IGNORED]
    of_classes = {*(range(count) if values is None else values)}
    strange = sorted({*found} - of_classes - {_IGNORED, ignore_index})
    if strange:
        more = ', ...' if len(strange) > _SHOWN else ''
        ignored = '' if ignore_index in (None, _IGNORED) else f' and {ignore_index}'
        raise DataError(
            f'the masks hold {", ".join(map(str, strange[:_SHOWN]))}{more}, which are none of the '
            f'{count} classes nor ignored ({_IGNORED}{ignored}): give the value of each class '
            '(--label-values), --reduce-zero-label where the classes begin with 1 and 0 does not '
            'count, or name all classes'
        )
    if values is None and (ignore_index in (None, _IGNORED) or ignore_index not in found):
        return None
    return [*(range(count) if values is None else values)]


def _convert(old: Path, new: Path, names: Iterable[str], values: Sequence[int]) -> None:
    for name in names:
        mask = _read_mask(old / f'{name}.png')
        ids = np.full(mask.shape, _IGNORED, np.uint8)
        for index, value in enumerate(values):
            ids[mask == value] = index
        file = new / f'{name}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ids).save(file)
