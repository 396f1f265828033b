"""A small synthetic segmentation data set in Pascal VOC's layout, for the demo and the tests."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .drawing import (
    PATTERNS,
    background,
    check_count,
    check_size,
    coverage,
    light_and_noise,
    texture,
)

CLASSES: tuple[str, ...] = (
    'background',
    'disc',
    'ring',
    'triangle',
    'cross',
    'striped_square',
    'checked_square',
)
PALETTE: list[list[int]] = [
    [0, 0, 0],
    [220, 60, 50],
    [240, 170, 30],
    [70, 170, 80],
    [50, 130, 220],
    [150, 80, 190],
    [60, 200, 200],
]

IGNORE = 255
_IGNORE_COLOUR = (224, 224, 192)
_JPEG_QUALITY = 90
_SPLITS = ('train', 'val')
# The two squares have one outline: only the pattern inside tells them apart.
_FIXED_TEXTURE = {'striped_square': 'striped', 'checked_square': 'checked'}
# How often any other shape wears a pattern too: often enough that a pattern alone gives no class
# away, seldom enough that a small network learns the shapes from a few hundred images.
_PATTERNED_SHARE = 0.15


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one scene, (H, W) of at least 32 each, of two to four objects that may hide one another.

    Colours are drawn anew for every object and background, so a class shows only in its shape (and,
    for the two squares, in its pattern). All follows from the state of ``rng``. Gives the image,
    (H, W, 3) uint8 RGB, and its label, (H, W) uint8: indices into ``CLASSES``, with 255 on the
    pixels at either side of every visible contour.
    """
    check_size(size)
    size = (int(size[0]), int(size[1]))
    image = background(rng, size)
    owner = np.zeros(size, np.uint8)
    classes = np.concatenate([[0], rng.integers(1, len(CLASSES), rng.integers(2, 5))])
    for number, class_id in enumerate(classes[1:], start=1):
        name = CLASSES[class_id]
        radius = min(size) * rng.uniform(0.23, 0.55) / 2
        angle = rng.uniform(0, 2 * math.pi)
        cover = coverage(rng, name, size, angle, radius)
        kind = _FIXED_TEXTURE.get(name, 'plain')
        if kind == 'plain' and rng.random() < _PATTERNED_SHARE:
            kind = PATTERNS[rng.integers(len(PATTERNS))]
        period = max(4.0, radius * rng.uniform(0.5, 0.8))
        surface = texture(rng, kind, size, angle, period)
        image += (surface - image) * cover[..., None]
        owner[cover >= 0.5] = number
    label = classes.astype(np.uint8)[owner]
    # Contours come from who owns a pixel, not from its class: two touching objects of one
    # class are parted as well.
    window = np.ones((3, 3), np.uint8)
    label[cv2.dilate(owner, window) != cv2.erode(owner, window)] = IGNORE
    return light_and_noise(rng, image), label


def write_toy_voc(
    root: str | Path,
    num_train: int = 400,
    num_val: int = 100,
    size: tuple[int, int] | Sequence[tuple[int, int]] = (96, 96),
    seed: int = 0,
) -> Path:
    """Write drawn scenes as a data set in Pascal VOC's layout; gives its folder.

    The files are ``JPEGImages/*.jpg``, ``SegmentationClass/*.png`` (palette PNGs that store the
    class ids, 255 = ignore) and ``ImageSets/Segmentation/{train,val}.txt``. An image follows from
    (``seed``, split, index) alone: asking for more leaves the first ones as is. ``size``: (H, W) of
    every image in pixels, each at least 32, or a list of such: image i of a split gets ``size[i %
    len(size)]``. ValueError where a number does not fit; nothing is written then.
    """
    for name, value in (('num_train', num_train), ('num_val', num_val), ('seed', seed)):
        check_count(name, value)
    several = isinstance(size, (tuple, list)) and any(isinstance(x, (tuple, list)) for x in size)
    sizes = list(size) if several else [size]
    for one in sizes:
        check_size(one)
    root = Path(root)
    images, labels, lists = (
        root / part for part in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation')
    )
    for folder in (images, labels, lists):
        folder.mkdir(parents=True, exist_ok=True)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(PALETTE)] = PALETTE
    colours[IGNORE] = _IGNORE_COLOUR
    for split_id, (split, count) in enumerate(zip(_SPLITS, (num_train, num_val), strict=True)):
        stems = [f'{split}_{index:05d}' for index in range(count)]
        for index, stem in enumerate(stems):
            rng = np.random.default_rng([seed, split_id, index])
            image, label = draw_scene(rng, sizes[index % len(sizes)])
            Image.fromarray(image).save(images / f'{stem}.jpg', quality=_JPEG_QUALITY)
            coloured = Image.fromarray(label)
            coloured.putpalette(colours.tobytes())
            coloured.save(labels / f'{stem}.png')
        (lists / f'{split}.txt').write_text(''.join(f'{stem}\n' for stem in stems))
    return root
