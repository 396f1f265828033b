"""The attention of a distillation network on an image."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from mmengine import Config
from torch import nn

from ...utils.networks import image_batch
from .maps import AttentionMap, attention_maps, covered_size, require_tat_loss, teacher_map
from .target_points import cell_at, choose_points


@dataclass(frozen=True)
class ImageAttention:
    """What :func:`attention_of_image` finds."""

    image: np.ndarray  # the original, (H, W, 3), RGB, uint8
    points: list[tuple[float, float]]  # (x, y) in pixels of it
    extent: tuple[float, float]  # (height, width) of it that the maps cover, more where padded
    maps: list[list[AttentionMap]]  # for each point the views


def read_image(path: str, points: Optional[Sequence[tuple[float, float]]] = None) -> np.ndarray:
    """An image as (H, W, 3), RGB, uint8, on which points (x, y) have to lie; FileNotFoundError or
    ValueError where it is not there, cannot be read or a point lies outside."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no image {str(path)!r}')
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f'{str(path)!r} cannot be read as an image')
    height, width = image.shape[:2]
    for x, y in points or ():
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(
                f'point {x:g},{y:g} lies outside {str(path)!r}, which is {width} x {height} '
                f'pixels: x from 0 to {width - 1}, y from 0 to {height - 1}'
            )
    return np.ascontiguousarray(image[..., ::-1])


def attention_of_image(
    model: nn.Module,
    cfg: Config,
    path: str,
    points: Optional[Sequence[tuple[float, float]]] = None,
    count: int = 3,
    split: str = 'test',
) -> ImageAttention:
    """Run both networks of a ``FrozenTeacherDistill`` on an image and read the attention of each
    TaT view at some points: (x, y) in pixels of the file, or ``count`` that are chosen, see
    :func:`.target_points.choose_points`.

    The image goes through the pipeline of a split, 'test' or 'val', whole, so its maps may be
    larger than those of the training's crops; grid, groups and kernel are the recipe's. The model
    runs in eval mode (a teacher of ``bn_train`` too), and is left as it was. FileNotFoundError or
    ValueError for an image that cannot be read, a point outside it, a model without a TaT loss, a
    pipeline that crops.
    """
    require_tat_loss(model)
    image, distiller = read_image(path, points), model.distiller
    with undisturbed(model):
        batch = model.data_preprocessor(image_batch(cfg, path, split), False)
        inputs, samples = batch['inputs'], batch.get('data_samples')
        height, width = _extent(image.shape[:2], tuple(inputs.shape[-2:]), samples)
        try:
            model.record(inputs, samples)
            feature = teacher_map(distiller)[0]
            rows, columns = feature.shape[1:]
            if points is None:
                sizes = zip(image.shape, (rows, columns), (height, width))
                on_image = [int(of * n / side) for of, n, side in sizes]
                within = tuple(max(1, min(*n)) for n in zip(covered_size(distiller), on_image))
                cells = choose_points(feature, count, within)
                if not cells:
                    raise ValueError(f"the teacher's map of {path!r} holds no finite number")
                points = [
                    ((c + 0.5) / columns * width, (r + 0.5) / rows * height) for r, c in cells
                ]
            else:  # the middle of a pixel, by proportion
                at = [((y + 0.5) / height, (x + 0.5) / width) for x, y in points]
                cells = [cell_at(*place, (rows, columns)) for place in at]
            maps = attention_maps(distiller, cells)
        finally:
            distiller.reset_records()
    return ImageAttention(image, [tuple(map(float, of)) for of in points], (height, width), maps)


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in eval mode without gradients; after it all is as it was before: the
    mode of every module, and the random numbers that come next."""
    modes = [(module, module.training) for module in model.modules()]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _extent(
    original: tuple[int, int], inputs: tuple[int, int], samples: Optional[list]
) -> tuple[float, float]:
    """(height, width) of the network's input in pixels of the original image."""
    sample = samples[0] if samples else None
    content = tuple(getattr(sample, 'img_shape', inputs))[:2]
    factor = getattr(sample, 'scale_factor', None)
    if factor is not None:  # (width, height); what a later padding adds is not in it
        resized = original[0] * factor[1], original[1] * factor[0]
        if any(a > b + 1 for a, b in zip(resized, content)):
            raise ValueError(
                f'the test pipeline crops the image: {original[0]} x {original[1]} pixels resized '
                f'to {resized[0]:.0f} x {resized[1]:.0f}, of which {content[0]} x {content[1]} '
                'are left. Where a position lies on the original image cannot be told'
            )
        content = tuple(min(round(a), b) for a, b in zip(resized, content))
    return tuple(n * whole / part for n, whole, part in zip(original, inputs, content))
