"""The pieces of the generated images: outlines, patterns, cluttered backgrounds, light."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

PATTERNS = ('striped', 'checked')
_MIN_SIDE = 32
_SUBPIXEL_BITS = 4


def check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f'{name} must be an integer of at least 0, got {value!r}')


def check_size(size: tuple[int, int]) -> None:
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


def texture(
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
        'dotted': lambda: np.sin(u) + np.sin(v) - 0.7,
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


def coverage(
    rng: np.random.Generator,
    name: str,
    size: tuple[int, int],
    angle: float,
    radius: float,
    margin: float = 0.15,
) -> np.ndarray:
    """(H, W) float32 share of each pixel that one randomly placed object covers.

    Its centre keeps `margin` of the image's sides away from the rim.
    """
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    stretch = np.array([1.0, rng.uniform(0.78, 1.0)])
    centre = rng.uniform(margin, 1 - margin, 2) * (size[1], size[0])
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


def background(
    rng: np.random.Generator, size: tuple[int, int], patterns: Sequence[str] = PATTERNS
) -> np.ndarray:
    """(H, W, 3) float32 gradients under clutter that shares colours and patterns with objects."""
    side, kinds = min(size), ('plain', *patterns)
    hills = _smooth_noise(rng, size, int(rng.integers(2, 5)), 3)
    image = rng.uniform(40, 215, 3) + 110 * (hills - 0.5)
    for _ in range(rng.integers(0, 3)):
        # Patches with shapeless, faded rims: pattern without a shape is not an object.
        rise = _smooth_noise(rng, size, int(rng.integers(4, 7)), 1) - rng.uniform(0.62, 0.75)
        fade = np.clip(rise * 8, 0, 1) * rng.uniform(0.35, 0.75)
        kind = kinds[rng.integers(len(kinds))]
        period = max(4.0, side * rng.uniform(0.05, 0.14))
        pattern = texture(rng, kind, size, rng.uniform(0, math.pi), period)
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


def light_and_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    slope = rng.uniform(-0.25, 0.25, 2)
    light = (
        1
        + slope[0] * np.linspace(-1, 1, height)[:, None]
        + slope[1] * np.linspace(-1, 1, width)[None]
    )
    noise = rng.normal(0, rng.uniform(2, 7), image.shape)
    return np.clip(np.rint(image * light[..., None] + noise), 0, 255).astype(np.uint8)
