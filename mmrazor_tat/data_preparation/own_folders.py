"""Images and masks of one's own, in two folders, as mmseg's ``BaseSegDataset`` reads them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from ..utils.files import write_atomically
from .layouts import DataError
from .own_splits import ENDINGS, Part, find_folders, find_splits, read_lines

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
    first, zero = int(reduce_zero_label), 0 if reduce_zero_label else None
    of_classes = [*(range(first, first + len(classes)) if values is None else values)]
    said = {'--ignore-index': ignore_index, '--reduce-zero-label': zero}
    _check_values(of_classes, classes, names, said)
    ignored = {*said.values()} - {None}
    images, masks = find_folders(root)
    splits, notes = find_splits(root, images, masks)
    for name, of in splits.items():
        if not of.images:
            raise DataError(f'{root / (of.listed or f"{images}/{of.folder}")} has no image: {name}')
    endings = Counter(end for of in splits.values() for ends in of.images.values() for end in ends)
    if len(endings) != 1:
        raise DataError(
            f'{root / images} must hold images of one ending ({", ".join(ENDINGS)}), it has '
            + (', '.join(f'{count} {ending}' for ending, count in endings.items()) or 'none')
        )
    (suffix,), found = endings, Counter()
    for of in splits.values():
        for name in of.images:
            mask = root / masks / of.folder / f'{name}.png'
            found.update(_values_of(mask, root / images / of.folder / f'{name}{suffix}'))
    is_plain = values is None and not reduce_zero_label
    if is_plain and not ignored and len(classes) == 2 and {*found} == {0, _IGNORED}:
        of_classes, is_plain = [0, _IGNORED], False
    _check_found(found, of_classes, ignored)
    if not is_plain or {*found} & (ignored - {_IGNORED}):
        old, masks = masks, f'{masks}_as_classes'
        if not force:
            _check_earlier(root / old, root / masks, splits.values(), of_classes)
        _convert(root / old, root / masks, splits.values(), of_classes)
        texts = ', '.join(f'{value} is {name}' for value, name in zip(of_classes, classes))
        notes.append(f'{root / masks} is written: {texts}; all else is ignored')
    if absent := [name for value, name in zip(of_classes, classes) if value not in found]:
        more = ', ...' * (len(absent) > _SHOWN)
        notes.append(f'no mask holds {", ".join(absent[:_SHOWN])}{more}')
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
    return OwnFolders(classes, {n: len(of.names) for n, of in splits.items()}, notes, dataset)


def _check_values(
    values: list[int], classes: list[str], names: Path, ignored: dict[str, Optional[int]]
) -> None:
    """``ignored``: values that do not count, by what says so."""
    if len(values) != len(classes) or len({*values}) < len(classes):
        raise DataError(
            f'--label-values must be {len(classes)} different values, one for each class of '
            f'{names}, got {" ".join(map(str, values))}'
        )
    for option, value in ignored.items():
        if value in values:
            name = classes[values.index(value)]
            raise DataError(
                f'{option}: {value} does not count, and is the value of the class {name!r}: give '
                'the value of each class (--label-values), or --reduce-zero-label where the '
                'classes begin with 1'
            )


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(f'--classes: there is no file {path}; it has the name of a class per line')
    classes = [line for line in read_lines(path, f'--classes {path}', 'utf-8-sig') if line]
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


def _check_found(found: Counter, of_classes: Sequence[int], ignored: set[int]) -> None:
    """Raise for values of masks that are of no class and count."""
    if strange := {*found} - {*of_classes} - {_IGNORED, *ignored}:
        more = ', ...' if len(strange) > _SHOWN else ''
        raise DataError(
            f'the masks hold {", ".join(map(str, sorted(strange)[:_SHOWN]))}{more}, which are none '
            f'of the {len(of_classes)} classes nor ignored '
            f'({", ".join(map(str, sorted({_IGNORED, *ignored})))}): give the value of each class '
            '(--label-values), --reduce-zero-label where the classes begin with 1 and 0 does not '
            'count, or name all classes'
        )


def _check_earlier(old: Path, new: Path, parts: Iterable[Part], values: Sequence[int]) -> None:
    """Raise where :func:`_convert` would write over another mask."""
    for name in _names(parts):
        file = new / name
        if file.exists() and not np.array_equal(_read_mask(file), _as_classes(old / name, values)):
            raise DataError(
                f'{file} holds another mask, maybe of another recipe: move its folder away, or add '
                '--force'
            )


def _convert(old: Path, new: Path, parts: Iterable[Part], values: Sequence[int]) -> None:
    for name in _names(parts):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_as_classes(old / name, values)).save(new / name)


def _names(parts: Iterable[Part]) -> Iterator[str]:
    """Of the masks, with their folders."""
    for part in parts:
        yield from (str(Path(part.folder, f'{name}.png')) for name in part.images)


def _as_classes(mask: Path, values: Sequence[int]) -> np.ndarray:
    found = _read_mask(mask)
    ids = np.full(found.shape, _IGNORED, np.uint8)
    for index, value in enumerate(values):
        ids[found == value] = index
    return ids
