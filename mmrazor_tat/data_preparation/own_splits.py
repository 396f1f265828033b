"""Where images and masks of one's own lie, and which of them train and validate."""

import os
from pathlib import Path
from typing import NamedTuple

from .layouts import DataError

_FOLDERS = (('images', 'masks'), ('images', 'labels'), ('img_dir', 'ann_dir'))
_FOLDERS += (('JPEGImages', 'SegmentationClass'),)
_SPLITS = (('train', 'val'), ('train', 'validation'), ('training', 'validation'))
ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_HELD_OUT = 10  # one image of so many validates, where no one says which
_SHOWN = 8

Images = dict[str, list[str]]  # endings by name, which has no ending but may have a folder


class Part(NamedTuple):
    """The images that train, or those that validate."""

    folder: str  # below images and masks; '': those themselves
    listed: str  # the file of names; '': all that are in the folder
    images: Images
    names: list[str]  # as a training reads them: a list may name one twice


def find_folders(root: Path) -> tuple[str, str]:
    """The folders of images and masks."""
    for pair in _FOLDERS:
        if all((root / name).is_dir() for name in pair):
            return pair
    there = 'it is no folder'
    if root.is_dir():
        names = sorted(path.name for path in root.iterdir())
        there = f'it has {", ".join(names[:_SHOWN]) or "nothing"}'
    pairs = ' or '.join(' and '.join(of) for of in _FOLDERS)
    raise DataError(f'--data {root} must hold two folders, {pairs}; {there}')


def find_splits(root: Path, images: str, masks: str) -> tuple[dict[str, Part], list[str]]:
    """Those of 'train' and 'val'; what is not used."""
    for names in _SPLITS:
        if all((root / images / name).is_dir() for name in names):
            found = {name: _images_of(root / images / name) for name in names}
            splits = [Part(name, '', of, [*of]) for name, of in found.items()]
            return dict(zip(('train', 'val'), splits)), []
    everything = _images_of(root / images)
    for folder in ('', 'ImageSets/Segmentation/'):
        lists = {name: f'{folder}{name}.txt' for name in ('train', 'val')}
        there = [path for path in lists.values() if (root / path).is_file()]
        if len(there) == 1:
            raise DataError(
                f'{root} has {there[0]}, but no list of the other images: train.txt and val.txt '
                'are needed, a name without its ending in each line, or none of them'
            )
        if there:
            splits = {n: Part('', p, *_listed(root / p, everything)) for n, p in lists.items()}
            train, val = (of.images.keys() for of in splits.values())
            unused = len(everything) - len(train | val)
            notes = [f'{unused} images of {root / images} are in no list: they are not used']
            both = f'{len(train & val)} images are in both lists: they train, and validate'
            return splits, notes * (unused > 0) + [both] * bool(train & val)
    if len(everything) < 2:
        raise DataError(f'{root / images} has {len(everything)} images: at least 2 are needed')
    names = [*everything]
    if odd := [name for name in names if name != name.strip()]:
        raise DataError(
            f'{odd[0]!r} begins or ends with a space, which a list would lose: rename it'
        )
    parts = dict(train=[n for n in names if n not in {*names[::_HELD_OUT]}])
    parts['val'] = names[::_HELD_OUT]
    splits = {
        part: Part('', f'{part}.txt', {name: everything[name] for name in of}, of)
        for part, of in parts.items()
    }
    notes = [f'every {_HELD_OUT}th image validates']
    if lone := _images_of(root / masks).keys() - everything.keys():
        notes.append(f'{len(lone)} masks of {root / masks} have no image: they are not used')
    return splits, notes


def _listed(path: Path, everything: Images) -> tuple[Images, list[str]]:
    """The images that a list names."""
    names = read_lines(path, str(path))
    if names and names[0].startswith('\ufeff'):
        raise DataError(
            f'{path} begins with a byte order mark, which mmseg reads: save it as UTF-8'
        )
    if '' in names:
        raise DataError(f'{path}, line {names.index("") + 1} is empty: mmseg reads a name there')
    if strange := [name for name in names if name not in everything]:
        more = f' and {len(strange) - 1} more' if len(strange) > 1 else ''
        raise DataError(
            f'{path} names {strange[0]!r}{more}, and there is no such image; a line is the name of '
            'one without its ending'
        )
    return {name: everything[name] for name in names}, names


def read_lines(path: Path, named: str, encoding: str = 'utf-8') -> list[str]:
    """The lines of a text that is ``named`` in an error, without the spaces around them."""
    try:
        return [line.strip() for line in path.read_text(encoding=encoding).splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f'{named} must be a text in UTF-8: {error}') from error


def _images_of(folder: Path) -> Images:
    """As mmseg finds them: subfolders and links too, no files that are hidden."""
    found: Images = {}
    walk = os.walk(folder, followlinks=True)
    for path in sorted(Path(place) / name for place, _, names in walk for name in names):
        if path.suffix.lower() in ENDINGS and not path.name.startswith('.'):
            name = path.relative_to(folder).with_suffix('').as_posix()
            found.setdefault(name, []).append(path.suffix)
    return found
