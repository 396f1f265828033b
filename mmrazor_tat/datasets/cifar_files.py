"""What the files of CIFAR-100's python layout hold, checked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.archives import DataError
from .cifar_source import some
from .safe_pickle import load_safe

LABELS = ('fine', 'coarse')
SIDE = 32
_VALUES = 3 * SIDE * SIDE


@dataclass(frozen=True)
class Images:
    """One split, the file ``train`` or ``test``."""

    images: np.ndarray  # (N, 32, 32, 3) uint8, RGB
    labels: dict[str, list[int]]  # N integers for each kind that was asked for


def parse_images(content: bytes, path: Path, labels: Iterable[str] = LABELS) -> Images:
    """The images of one split, and their labels.

    Args:
        content: of the file.
        path: of the file, for the errors.
        labels: which of ``LABELS`` to read.

    Raises:
        DataError: the file is damaged, of another layout, or would run code.
    """
    keys = [f'{kind}_labels' for kind in labels]
    found = _load_dict(content, path, ['data', *keys])
    data = found['data']
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_VALUES,):
        is_array = isinstance(data, np.ndarray)
        raise DataError(
            f'{path}: data must be uint8 (N, {_VALUES}), the planes R, G and B of {SIDE} x {SIDE}, '
            f'got {f"{data.dtype} {data.shape}" if is_array else type(data).__name__}'
        )
    if not len(data):
        raise DataError(f'{path}: data holds no image')
    labels = {key: _integers(found[key], path, key) for key in keys}
    counts = {'data': len(data), **{key: len(labels[key]) for key in keys}}
    if isinstance(found.get('filenames'), list):
        counts['filenames'] = len(found['filenames'])
    if len(set(counts.values())) > 1:
        differ = ', '.join(f'{key} {count:,}' for key, count in counts.items())
        raise DataError(f'{path}: counts that must be one differ: {differ}')
    images = data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)  # (N, 32, 32, 3)
    return Images(
        np.ascontiguousarray(images),
        {key.removesuffix('_labels'): values for key, values in labels.items()},
    )


def parse_names(content: bytes, path: Path, labels: Iterable[str] = LABELS) -> dict[str, list[str]]:
    """The class names of each kind of ``labels``, from the file ``meta``.

    Raises:
        DataError: the file is damaged, of another layout, or would run code.
    """
    keys = {kind: f'{kind}_label_names' for kind in labels}
    found = _load_dict(content, path, list(keys.values()))
    for key in keys.values():
        names = found[key]
        if not isinstance(names, list) or not all(map(_is_name, names)):
            raise DataError(f'{path}: {key} must be a list of names, got {_odd(names, _is_name)}')
        if not names:
            raise DataError(f'{path}: {key} holds no name')
    return {kind: [_text(name) for name in found[key]] for kind, key in keys.items()}


def out_of_range(labels: list[int], classes: int) -> list[int]:
    """The labels that are no class, each once, in order."""
    return sorted(label for label in set(labels) if not 0 <= label < classes)


def _load_dict(content: bytes, path: Path, keys: list[str]) -> dict[str, Any]:
    """The dict that a file holds, with its keys as text; all of ``keys`` are in it."""
    found = load_safe(content, path)
    if not isinstance(found, dict):
        raise DataError(
            f'{path} must hold a dict with {", ".join(keys)}, got {type(found).__name__}'
        )
    found = {_text(key): value for key, value in found.items()}
    missing = [key for key in keys if key not in found]
    if missing:
        raise DataError(f'{path} has no {" and no ".join(missing)}; it has {some(found)}')
    return found


def _integers(values: Any, path: Path, key: str) -> list[int]:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list) or not all(map(_is_integer, values)):
        raise DataError(
            f'{path}: {key} must be a list of integers, got {_odd(values, _is_integer)}'
        )
    return [int(value) for value in values]


def _odd(values: Any, fits: Callable[[Any], bool]) -> str:
    """How to say what does not fit: the first such value, or that it is no list."""
    if not isinstance(values, list):
        return type(values).__name__
    return f'{next(value for value in values if not fits(value))!r:.40} in it'


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, (bytes, str))


def _text(value: Any) -> str:
    return value.decode(errors='replace') if isinstance(value, bytes) else str(value)
