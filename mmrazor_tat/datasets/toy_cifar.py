"""A small synthetic classification data set in CIFAR-100's layout, for demos and tests."""

import io
import math
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .cifar_files import SIDE
from .cifar_source import FOLDER, META, SPLITS
from .drawing import PATTERNS, background, check_count, coverage, light_and_noise, texture

SHAPES: tuple[str, ...] = ('disc', 'ring', 'triangle', 'cross', 'square')
SURFACES: tuple[str, ...] = ('plain', *PATTERNS, 'dotted')
# Shape by shape: the first four are the plain, the striped, the checked and the dotted disc.
CLASSES: tuple[str, ...] = tuple(f'{surface}_{shape}' for shape in SHAPES for surface in SURFACES)
_MARGIN = 0.36
_RADII = (8.0, 13.0)
# How strong the dark or light rim of an object is. It sets how hard the shapes are: without one
# small networks see little of them in 1,500 iterations, with a full one nearly all.
_RIMS = (0.15, 0.8)
_RIM_GREYS = (15.0, 240.0)
# How strong a pattern is beside a plain surface: at the low end the noise nearly hides it.
_CONTRASTS = (0.2, 1.0)


def draw_image(rng: np.random.Generator, label: int) -> np.ndarray:
    r"""Draw one object of a class on a cluttered background.

    Colours, place, size, turn and pattern width are drawn anew for each image, so that only the
    shape and the pattern together tell the class.

    Args:
        rng: source of every random choice; the image follows from its state and the label alone.
        label: index into ``CLASSES``.

    Returns:
        (32, 32, 3) uint8, RGB.

    Raises:
        ValueError: there is no such class.
    """
    if not 0 <= label < len(CLASSES):
        raise ValueError(f'label must be 0 to {len(CLASSES) - 1}, got {label!r}')
    shape, surface = divmod(label, len(SURFACES))
    size = (SIDE, SIDE)
    image = background(rng, size, SURFACES[1:])
    radius = rng.uniform(*_RADII)
    cover = coverage(rng, SHAPES[shape], size, rng.uniform(0, 2 * math.pi), radius, _MARGIN)
    rim = cv2.dilate(cover, np.ones((3, 3), np.uint8)) * rng.uniform(*_RIMS)
    image += (rng.choice(_RIM_GREYS) - image) * rim[..., None]
    period = max(3.5, radius * rng.uniform(0.4, 0.8))
    # Turned apart from the outline: a pattern's axes say nothing of the shape's.
    pattern = texture(rng, SURFACES[surface], size, rng.uniform(0, math.pi), period)
    mean = pattern.mean((0, 1))
    pattern = mean + rng.uniform(*_CONTRASTS) * (pattern - mean)
    image += (pattern - image) * cover[..., None]
    return light_and_noise(rng, image)


def write_toy_cifar(
    root: str | Path,
    num_train: int = 4000,
    num_test: int = 1000,
    num_classes: int = len(CLASSES),
    seed: int = 0,
) -> Path:
    r"""Write drawn images as a data set in the python layout of CIFAR-100.

    The files are ``cifar-100-python/{train,test,meta}``, pickles as Python 2 wrote the published
    ones. The fine labels are ``CLASSES``, in turn (image i is of class i modulo their number),
    the coarse labels are ``SHAPES``. An image follows from (``seed``, split, index) and
    ``num_classes`` alone: asking for more leaves the first ones as they are.

    Args:
        root: folder to write ``cifar-100-python`` to; made if missing, such files are replaced.
        num_train: number of training images.
        num_test: number of test images.
        num_classes: the first so many of ``CLASSES``.
        seed: which data set to draw.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count or the seed is not an integer of at least 0, or ``num_classes`` is not
            one of 2 to 20; nothing is written then.
    """
    for name, value in (('num_train', num_train), ('num_test', num_test), ('seed', seed)):
        check_count(name, value)
    check_count('num_classes', num_classes)
    if not 2 <= num_classes <= len(CLASSES):
        raise ValueError(f'num_classes must be 2 to {len(CLASSES)}, got {num_classes}')
    folder = Path(root) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for split_id, (split, count) in enumerate(zip(SPLITS, (num_train, num_test), strict=True)):
        _write(folder / split, _split(split, split_id, int(count), int(num_classes), int(seed)))
    shapes = SHAPES[: math.ceil(num_classes / len(SURFACES))]
    names = {'fine_label_names': CLASSES[:num_classes], 'coarse_label_names': shapes}
    _write(folder / META, {key: [name.encode() for name in names[key]] for key in names})
    return Path(root)


def _split(split: str, split_id: int, count: int, num_classes: int, seed: int) -> dict[str, Any]:
    fine = [index % num_classes for index in range(count)]
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    for index, label in enumerate(fine):
        drawn = draw_image(np.random.default_rng([seed, split_id, index]), label)
        images[index] = drawn.transpose(2, 0, 1)
    return {
        'filenames': [f'{CLASSES[label]}_{i:06d}.png'.encode() for i, label in enumerate(fine)],
        'batch_label': f'{split} batch, drawn'.encode(),
        'fine_labels': fine,
        'coarse_labels': [label // len(SURFACES) for label in fine],
        'data': images.reshape(count, 3 * SIDE * SIDE),
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump({key.encode(): content[key] for key in content})
    unfinished = path.with_name(f'{path.name}.tmp')
    unfinished.write_bytes(file.getvalue())
    os.replace(unfinished, path)


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as the text of Python 2, which the published files hold.

    Those who read them with ``encoding='latin1'`` then find text, and with 'bytes' bytes.
    """

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack('<i', len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes
