"""A small synthetic segmentation data set in Pascal VOC's layout, for the demo and the tests."""

import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

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
_MIN_SIDE = 32
_JPEG_QUALITY = 90
_SUBPIXEL_BITS = 4
_SPLITS = ('train', 'val')
_PATTERNS = ('striped', 'checked')
# The two squares have one outline: only the pattern inside tells them apart.
_FIXED_TEXTURE = {'striped_square': 'striped', 'checked_square': 'checked'}
# How often any other shape wears a pattern too: often enough that a pattern alone gives no class
# away, seldom enough that a small network learns the shapes from a few hundred images.
_PATTERNED_SHARE = 0.15


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f'{name} must be an integer of at least 0, got {value!r}')


def _check_size(size: tuple[int, int]) -> None:
    fits = (
        isinstance(size, (tuple, list))
        and len(size) == 2
        and all(isinstance(side, (int, np.integer)) and side >= _MIN_SIDE for side in size)
    )
    if not fits:
        raise ValueError(
            f'size must be (height, width), two integers of at least {_MIN_SIDE}, got {size!r}'
        )


def _smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: int, channels: int
) -> np.ndarray:
    coarse = rng.random((cells, cells, channels), dtype=np.float32)
    fine = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(fine, 0, 1).reshape(*size, channels)


def _two_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first = rng.uniform(20, 235, 3)
    # Stepping towards the far end of the range keeps every pattern visible.
    step = rng.uniform(60, 110) * (-1 if first.mean() > 127.5 else 1)
    second = np.clip(first + step + rng.uniform(-35, 35, 3), 0, 255)
    return (first, second) if rng.random() < 0.5 else (second, first)


def _texture(
    rng: np.random.Generator, kind: str, size: tuple[int, int], angle: float, period: float
) -> np.ndarray:
    """(H, W, 3) float32 two-coloured pattern; its axes are turned by `angle`."""
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32) * (2 * math.pi / period)
    phase_u, phase_v = rng.uniform(0, 2 * math.pi, 2)
    u = cols * math.cos(angle) + rows * math.sin(angle) + phase_u
    v = rows * math.cos(angle) - cols * math.sin(angle) + phase_v
    wave = {
        'plain': lambda: np.ones(size),
        'striped': lambda: np.sin(u),
        'checked': lambda: np.sin(u) * np.sin(v),
    }[kind]()
    # A steep ramp in place of a step keeps fine patterns from aliasing.
    mix = np.clip(wave * 2.5 + 0.5, 0, 1)[..., None]
    first, second = _two_colours(rng)
    return (first * mix + second * (1 - mix)).astype(np.float32)


def _outline(name: str) -> list[np.ndarray]:
    """Contours (N, 2) of a class's shape about the origin, all of about the same area."""

    def circle(radius: float, corners: int, start: float = 0.0) -> np.ndarray:
        turn = start + np.arange(corners) * (2 * math.pi / corners)
        return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)

    if name == 'disc':
        return [circle(0.86, 40)]
    if name == 'ring':
        return [circle(1.0, 40), circle(0.52, 40)]
    if name == 'triangle':
        return [circle(1.26, 3)]
    if name == 'cross':
        arm, half = 1.0, 0.34
        quarter = np.array([[arm, -half], [arm, half], [half, half]])
        back = np.array([[0, -1], [1, 0]])
        return [np.concatenate([quarter @ np.linalg.matrix_power(back, -k) for k in range(4)])]
    return [circle(1.08, 4, math.pi / 4)]


def _coverage(
    rng: np.random.Generator, name: str, size: tuple[int, int], angle: float, radius: float
) -> np.ndarray:
    """(H, W) float32 share of each pixel that one randomly placed object covers."""
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    stretch = np.array([1.0, rng.uniform(0.78, 1.0)])
    centre = rng.uniform(0.15, 0.85, 2) * (size[1], size[0])
    contours = [
        ((points * stretch * radius) @ turn + centre) * 2**_SUBPIXEL_BITS
        for points in _outline(name)
    ]
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(
        canvas,
        [np.rint(points).astype(np.int32) for points in contours],
        255,
        lineType=cv2.LINE_AA,
        shift=_SUBPIXEL_BITS,
    )
    return canvas.astype(np.float32) / 255


def _background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float32 gradients under clutter that shares colours and patterns with objects."""
    side = min(size)
    hills = _smooth_noise(rng, size, int(rng.integers(2, 5)), 3)
    image = rng.uniform(40, 215, 3) + 110 * (hills - 0.5)
    for _ in range(rng.integers(0, 3)):
        # Patches with shapeless, faded rims: pattern without a shape is not an object.
        rise = _smooth_noise(rng, size, int(rng.integers(4, 7)), 1) - rng.uniform(0.62, 0.75)
        fade = np.clip(rise * 8, 0, 1) * rng.uniform(0.35, 0.75)
        kind = ('plain', *_PATTERNS)[rng.integers(3)]
        period = max(4.0, side * rng.uniform(0.05, 0.14))
        pattern = _texture(rng, kind, size, rng.uniform(0, math.pi), period)
        image = image * (1 - fade) + pattern * fade
    image = np.ascontiguousarray(image, np.float32)
    for _ in range(rng.integers(2, 6)):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * (size[1], size[0])
        start, stop = ends.astype(int).tolist()
        cv2.line(image, start, stop, rng.uniform(0, 255, 3).tolist(), int(rng.integers(1, 3)))
    for _ in range(rng.integers(5, 18)):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        axes = rng.integers(1, max(2, side // 24) + 1, 2).tolist()
        cv2.ellipse(
            image, centre, axes, rng.uniform(0, 180), 0, 360, rng.uniform(0, 255, 3).tolist(), -1
        )
    return image


def _light_and_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    slope = rng.uniform(-0.25, 0.25, 2)
    light = (
        1
        + slope[0] * np.linspace(-1, 1, height)[:, None]
        + slope[1] * np.linspace(-1, 1, width)[None]
    )
    noise = rng.normal(0, rng.uniform(2, 7), image.shape)
    return np.clip(np.rint(image * light[..., None] + noise), 0, 255).astype(np.uint8)


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    r"""Draw one scene of two to four objects that may hide one another.

    Colours are drawn anew for every object and background, so a class shows only in its shape
    (and, for the two squares, in its pattern).

    Args:
        rng: source of every random choice; the scene follows from its state alone.
        size: (H, W) in pixels, each at least 32.

    Returns:
        The image, (H, W, 3) uint8 RGB, and its label, (H, W) uint8: indices into ``CLASSES``,
        with 255 on the pixels at either side of every visible contour.

    Raises:
        ValueError: ``size`` is not two integers of at least 32.
    """
    _check_size(size)
    size = (int(size[0]), int(size[1]))
    image = _background(rng, size)
    owner = np.zeros(size, np.uint8)
    classes = np.concatenate([[0], rng.integers(1, len(CLASSES), rng.integers(2, 5))])
    for number, class_id in enumerate(classes[1:], start=1):
        name = CLASSES[class_id]
        radius = min(size) * rng.uniform(0.23, 0.55) / 2
        angle = rng.uniform(0, 2 * math.pi)
        cover = _coverage(rng, name, size, angle, radius)
        kind = _FIXED_TEXTURE.get(name, 'plain')
        if kind == 'plain' and rng.random() < _PATTERNED_SHARE:
            kind = _PATTERNS[rng.integers(len(_PATTERNS))]
        period = max(4.0, radius * rng.uniform(0.5, 0.8))
        surface = _texture(rng, kind, size, angle, period)
        image += (surface - image) * cover[..., None]
        owner[cover >= 0.5] = number
    label = classes.astype(np.uint8)[owner]
    # Contours come from who owns a pixel, not from its class: two touching objects of one
    # class are parted as well.
    window = np.ones((3, 3), np.uint8)
    label[cv2.dilate(owner, window) != cv2.erode(owner, window)] = IGNORE
    return _light_and_noise(rng, image), label


def write_toy_voc(
    root: str | Path,
    num_train: int = 400,
    num_val: int = 100,
    size: tuple[int, int] = (96, 96),
    seed: int = 0,
) -> Path:
    r"""Write drawn scenes as a data set in Pascal VOC's layout.

    The files are ``JPEGImages/*.jpg``, ``SegmentationClass/*.png`` (palette PNGs that store
    the class ids, 255 = ignore) and ``ImageSets/Segmentation/{train,val}.txt``. An image
    follows from (``seed``, split, index) alone: asking for more leaves the first ones as is.

    Args:
        root: folder to write to; made if missing, files of the same names are replaced.
        num_train: number of training images.
        num_val: number of validation images.
        size: (H, W) of every image in pixels, each at least 32.
        seed: which data set to draw.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count or the seed is not an integer of at least 0, or ``size`` is not
            two integers of at least 32; nothing is written then.
    """
    for name, value in (('num_train', num_train), ('num_val', num_val), ('seed', seed)):
        _check_count(name, value)
    _check_size(size)
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
            image, label = draw_scene(np.random.default_rng([seed, split_id, index]), size)
            Image.fromarray(image).save(images / f'{stem}.jpg', quality=_JPEG_QUALITY)
            coloured = Image.fromarray(label)
            coloured.putpalette(colours.tobytes())
            coloured.save(labels / f'{stem}.png')
        (lists / f'{split}.txt').write_text(''.join(f'{stem}\n' for stem in stems))
    return root
