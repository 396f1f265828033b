"""Bad data sets: what is done to a copy of a good one, and what the line must say."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

_IMAGES, _LABELS, _SPLITS = 'JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'
# What the spoilt sample is called; it is in every batch of two.
TRAIN, VAL = 'train_00003', 'val_00001'


def _image(root: Path, name: str = TRAIN) -> Path:
    return root / _IMAGES / f'{name}.jpg'


def _label(root: Path, name: str = TRAIN) -> Path:
    return root / _LABELS / f'{name}.png'


def _only(root: Path, split: str = 'train', names=(TRAIN, 'train_00000')) -> None:
    (root / _SPLITS / f'{split}.txt').write_text(''.join(f'{name}\n' for name in names))


def write(path_of, content: bytes, name: str = TRAIN):
    """A function that puts ``content`` in the place of a file."""
    return lambda root: (_only(root), path_of(root, name).write_bytes(content))


def cut(path_of):
    """A function that leaves the first half of a file."""

    def spoil(root: Path) -> None:
        _only(root)
        content = path_of(root, TRAIN).read_bytes()
        path_of(root, TRAIN).write_bytes(content[: len(content) // 2])

    return spoil


def relabel(change, name: str = TRAIN):
    """A function that saves ``change(label)`` in the place of a label."""

    def spoil(root: Path) -> None:
        if name == TRAIN:
            _only(root)
        label = np.array(Image.open(_label(root, name)))
        Image.fromarray(change(label)).save(_label(root, name))

    return spoil


def _with(ids: int):
    def change(label):
        label = label.copy()
        label[5:7, 5:9] = ids
        return label

    return change


def _numbered(label):
    return np.arange(label.size, dtype=np.uint8).reshape(label.shape)


def _layers(count: int):
    return lambda label: np.stack([label] * count, -1)


def _delete(path_of, name: str = TRAIN):
    return lambda root: path_of(root, name).unlink()


def _folder(root: Path) -> None:
    _image(root).unlink()
    _image(root).mkdir()
    _only(root)


def _empty(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def _split(split: str, text):
    return lambda root: (root / _SPLITS / f'{split}.txt').write_text(text)


DATA = {
    'image is a text': (write(_image, b'no image at all'), f'{TRAIN}.jpg'),
    'image is empty': (write(_image, b''), f'{TRAIN}.jpg', 'empty, 0 bytes'),
    'image is cut in half': (cut(_image), f'{TRAIN}.jpg'),
    'image is a folder': (_folder, f'{TRAIN}.jpg'),
    'image is missing': (_delete(_image), f'{TRAIN}.jpg', 'is missing'),
    'label is a text': (write(_label, b'no label at all'), 'label', f'{TRAIN}.png'),
    'label is empty': (write(_label, b''), f'{TRAIN}.png', 'empty, 0 bytes'),
    'label is cut in half': (cut(_label), f'{TRAIN}.png'),
    'label is missing': (_delete(_label), f'{TRAIN}.png', 'is missing'),
    'id of no class': (relabel(_with(7)), f'{TRAIN}.png', 'ids 7 in 8 pix', '7 classes', '0 to 6'),
    '254 for ignored': (relabel(_with(254)), 'ids 254', '255 for pixels'),
    'many ids': (relabel(_numbered), 'ids 7, 8, 9, 10, 11, ...'),
    'ids from 1': (relabel(lambda x: x + np.uint8(1) * (x < 255)), f'{TRAIN}.png', 'ids '),
    'colours': (relabel(_layers(3)), f'{TRAIN}.png', '(64, 64, 3)', 'not colours'),
    'colours with alpha': (relabel(_layers(4)), '(64, 64, 4)'),
    'label is smaller': (relabel(lambda x: x[:40].copy()), f'{TRAIN}.png', '40 x 64', '64 x 64'),
    'label is turned': (relabel(lambda x: x[:, :50].T.copy()), '50 x 64', '64 x 64'),
    'validation id': (relabel(_with(9), VAL), f'{VAL}.png', 'ids 9 in 8 pixels'),
    'validation image is missing': (_delete(_image, VAL), f'{VAL}.jpg', 'is missing'),
    'no training images': (_split('train', ''), 'has no image', 'train.txt'),
    'no validation images': (_split('val', ''), 'has no image', 'val.txt'),
    'missing files': (
        _split('train', 'n_1\nn_2\n'),
        'n_1.jpg',
        'and 3 more',
        'is missing',
        'train',
    ),
    'empty line': (_split('train', f'{TRAIN}\n\n'), '.jpg', 'is missing'),
    'data root is missing': (shutil.rmtree, 'train.txt'),
    'data root is another folder': (_empty, 'train.txt'),
}
