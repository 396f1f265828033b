"""CIFAR-100 as image files: ``train/`` and ``test/``, with a folder for each class."""

from pathlib import Path

import cv2
import numpy as np

from ..utils.archives import DataError
from .cifar_files import SIDE
from .cifar_source import SPLITS, some

_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp')


def is_image_folder(root: Path) -> bool:
    """Whether a split is a folder here; in the python layout it is a file."""
    return any((root / split).is_dir() for split in SPLITS)


def read_image_folder(root: Path, split: str) -> tuple[np.ndarray, list[int], tuple[str, ...]]:
    """All images of a split.

    Args:
        root: holds ``train/`` and ``test/``. The classes are the folders in both of them, in the
            order of their names.
        split: 'train' or 'test'.

    Returns:
        images (N, 32, 32, 3) uint8, R, G, B; N labels; the names of the classes.

    Raises:
        FileNotFoundError: there is no such split, or no class in it.
        DataError: the splits have other classes, a class has no image, or a file is damaged or
            not 32 x 32.
    """
    classes = {name: _classes(root / name) for name in SPLITS if (root / name).is_dir()}
    if split not in classes:
        raise FileNotFoundError(
            f'data_root: {root} has no folder {split}/; it has '
            f'{some(path.name for path in root.iterdir())}'
        )
    for other, names in classes.items():
        alone = set(names) ^ set(classes[split])
        if alone:
            raise DataError(
                f'{root}: {split}/ and {other}/ must have the same classes; only one of them has '
                f'{some(alone)}'
            )
    images, labels = [], []
    for label, name in enumerate(classes[split]):
        folder = root / split / name
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not files:
            raise DataError(f'{folder} holds no image ({", ".join(_SUFFIXES)})')
        images += map(_read, files)
        labels += [label] * len(files)
    return np.stack(images), labels, classes[split]


def _classes(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if not names:
        raise FileNotFoundError(
            f'data_root: {folder} has no folders, one for each class; it has '
            f'{some(path.name for path in folder.iterdir())}'
        )
    return names


def _read(path: Path) -> np.ndarray:
    content = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise DataError(f'{path} cannot be read: it is damaged, or no image')
    if image.shape != (SIDE, SIDE, 3):
        height, width = image.shape[:2]
        raise DataError(f'{path} must be {SIDE} x {SIDE}, is {width} x {height} (width x height)')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
