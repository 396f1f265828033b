"""The roots that mmseg's configs of Pascal VOC 2012 aug and of COCO-Stuff 10K expect."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..utils.archives import DataError

# How the name of a folder begins in which a root is being made.
UNFINISHED = 'prepare_data.unfinished'


@dataclass(frozen=True)
class Split:
    """One list of images, and where the files of its names lie."""

    name: str
    list_file: str
    image: str  # path in the root, {} stands for a name of the list
    label: str
    count: int  # of the official data set


@dataclass(frozen=True)
class Layout:
    """What mmseg's config of a data set expects below its ``data_root``."""

    kind: str
    data_root: str  # how the config ends it
    folders: tuple[str, ...]  # by these a root is recognised
    splits: tuple[Split, ...]
    label_ids: frozenset[int]
    # mmseg's dataset takes every image that lies in the folder and never opens the list.
    reads_folder: bool


LAYOUTS: dict[str, Layout] = {
    layout.kind: layout
    for layout in (
        Layout(
            kind='voc12aug',
            data_root='VOCdevkit/VOC2012',
            folders=('JPEGImages', 'ImageSets/Segmentation'),
            splits=tuple(
                Split(
                    name,
                    f'ImageSets/Segmentation/{name}.txt',
                    'JPEGImages/{}.jpg',
                    f'{labels}/{{}}.png',
                    count,
                )
                for name, labels, count in (
                    ('train', 'SegmentationClass', 1464),
                    ('aug', 'SegmentationClassAug', 9118),
                    ('val', 'SegmentationClass', 1449),
                )
            ),
            label_ids=frozenset({*range(21), 255}),
            reads_folder=False,
        ),
        Layout(
            kind='coco-stuff10k',
            data_root='coco_stuff10k',
            folders=('images/train2014', 'annotations/train2014'),
            splits=tuple(
                Split(
                    name,
                    f'imageLists/{name}.txt',
                    f'images/{name}2014/{{}}.jpg',
                    f'annotations/{name}2014/{{}}_labelTrainIds.png',
                    count,
                )
                for name, count in (('train', 9000), ('test', 1000))
            ),
            # 0 is 'unlabeled'. mmseg's reduce_zero_label makes 0 and 255 alike 255, which no loss
            # and no metric counts, and 1..171 the classes 0..170.
            label_ids=frozenset({*range(172), 255}),
            reads_folder=True,
        ),
    )
}


def find_root(layout: Layout, root: str | Path) -> Path:
    """The root as an absolute path.

    Raises:
        DataError: it is no root of that layout; a right one up to two levels away is named.
    """
    root = Path(root).absolute()
    wanted = f'a {layout.kind} root (.../{layout.data_root})'
    if root.exists() and not root.is_dir():
        raise DataError(f'{root} is a file, not {wanted}')
    if is_root(layout, root):
        return root
    lacks = ' and '.join(f'{folder}/' for folder in layout.folders if not (root / folder).is_dir())
    fault = f'it lacks {lacks}' if root.exists() else 'there is no such folder'
    text = f'{root} is not {wanted}: {fault}'
    near = root_nearby(layout, root)
    if near is not None:
        text += f'; did you mean {near}?'
    elif (root / 'imageLists').is_dir():
        text += '; it is unpacked but not converted, prepare it first'
    else:
        text += ''.join(f'; it is a {x.kind} root' for x in LAYOUTS.values() if is_root(x, root))
    raise DataError(text)


def is_root(layout: Layout, folder: Path) -> bool:
    """Whether a folder looks like the ``data_root`` of a layout, complete or not."""
    return all((folder / part).is_dir() for part in layout.folders)


def root_nearby(layout: Layout, root: Path) -> Optional[Path]:
    """A root up to two levels above or below ``root``, if there is one."""
    below = itertools.chain(root.glob('*/'), root.glob('*/*/')) if root.is_dir() else ()
    near = (
        folder
        for folder in itertools.chain(root.parents[:2], below)
        if not any(part.startswith(UNFINISHED) for part in folder.parts)
    )
    return next((folder for folder in near if is_root(layout, folder)), None)
