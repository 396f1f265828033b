"""A small synthetic classification data set in folders of images, for demos and tests."""

import math
from pathlib import Path

import cv2
import numpy as np

from .drawing import PATTERNS, background, check_count, coverage, light_and_noise, texture

SIDE = 32  # as CIFAR's images have
SPLITS = ('train', 'test')
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
    """Draw one object of a class (an index into ``CLASSES``) on a cluttered background.

    Colours, place, size, turn and pattern width are drawn anew for each image, so that only the
    shape and the pattern together tell the class. All follows from the label and the state of
    ``rng``. Gives (32, 32, 3) uint8, RGB; ValueError where there is no such class.
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
    """Write drawn images as ``train/CLASS/NUMBER.png`` and ``test/CLASS/NUMBER.png``; the folder.

    The first ``num_classes`` of ``CLASSES`` are drawn in turn (image i is of class i modulo their
    number). An image follows from (``seed``, split, index) and ``num_classes`` alone: asking for
    more leaves the first ones as they are. ValueError where a count or the seed is no integer of at
    least 0, or ``num_classes`` is not one of 2 to 20; nothing is written then.
    """
    for name, value in (('num_train', num_train), ('num_test', num_test), ('seed', seed)):
        check_count(name, value)
    check_count('num_classes', num_classes)
    if not 2 <= num_classes <= len(CLASSES):
        raise ValueError(f'num_classes must be 2 to {len(CLASSES)}, got {num_classes}')
    for split_id, (split, count) in enumerate(zip(SPLITS, (num_train, num_test), strict=True)):
        for name in CLASSES[:num_classes]:
            (Path(root) / split / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            label = index % num_classes
            image = draw_image(np.random.default_rng([seed, split_id, index]), label)
            path = Path(root) / split / CLASSES[label] / f'{index:06d}.png'
            path.write_bytes(cv2.imencode('.png', image[..., ::-1])[1].tobytes())
    return Path(root)
