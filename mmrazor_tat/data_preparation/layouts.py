"""What mmseg's configs expect below a ``data_root``."""

from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import UserError


class DataError(UserError):
    """Data or an archive that cannot be used; its text is one line for the user."""


@dataclass(frozen=True)
class Split:
    """One list of images, and where the files of its names lie; {} stands for a name."""

    name: str
    list_file: str
    image: str
    label: str
    count: int  # of the official data set


@dataclass(frozen=True)
class Layout:
    """A data set."""

    data_root: str  # how the config ends it
    folders: tuple[str, ...]  # by these a root is recognised
    splits: tuple[Split, ...]
    label_ids: frozenset[int]
    reads_folder: bool  # mmseg takes every image in the folder, and never opens the list


_LISTS, _IMAGES = 'ImageSets/Segmentation', 'JPEGImages/{}.jpg'
_LABELS = 'SegmentationClass{}/{{}}.png'
_STUFF = (
    *('imageLists/{0}.txt', 'images/{0}2014/{{}}.jpg'),
    'annotations/{0}2014/{{}}_labelTrainIds.png',
)
LAYOUTS = {
    'voc12aug': Layout(
        'VOCdevkit/VOC2012',
        ('JPEGImages', _LISTS),
        (
            Split('train', f'{_LISTS}/train.txt', _IMAGES, _LABELS.format(''), 1464),
            Split('aug', f'{_LISTS}/aug.txt', _IMAGES, _LABELS.format('Aug'), 9118),
            Split('val', f'{_LISTS}/val.txt', _IMAGES, _LABELS.format(''), 1449),
        ),
        frozenset({*range(21), 255}),
        reads_folder=False,
    ),
    'coco-stuff10k': Layout(
        'coco_stuff10k',
        ('images/train2014', 'annotations/train2014'),
        (
            Split('train', *(path.format('train') for path in _STUFF), 9000),
            Split('test', *(path.format('test') for path in _STUFF), 1000),
        ),
        # mmseg's reduce_zero_label makes 0 ('unlabeled') and 255 alike 255, which no loss and no
        # metric counts, and 1..171 the classes 0..170.
        frozenset({*range(172), 255}),
        reads_folder=True,
    ),
}


def read_list(path: Path) -> list[str]:
    """The names in an image list, one a line, as mmseg reads them."""
    return [line.strip() for line in path.read_text(errors='replace').splitlines()]
