"""Several networks on the same validation images, and the images that are shown."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import mmcv
import numpy as np
import torch
from mmengine import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from torch.utils.data import Dataset, Subset

from .networks import PLAIN, ROLES, STUDENT, TEACHER, Network, ignore_index_of, validation_data
from .results import Comparison, NetworkScores, Sample, Section, count_pixels


def differences(scores: Sequence[NetworkScores]) -> np.ndarray:
    """(N,) by what the images are sorted, in points of mIoU.

    The student's mIoU less the plain student's (its gain); without a plain student less the
    teacher's (its deficit, negative where the student is behind); alone the student's mIoU itself.
    """
    by_role = {s.role: s for s in scores}
    other = by_role.get(PLAIN) or by_role.get(TEACHER)
    own = by_role[STUDENT].image_miou
    return own - other.image_miou if other else own


def choose(scores: Sequence[NetworkScores], count: int) -> list[tuple[str, list[int]]]:
    """The images to show, ``count`` altogether: (title, indices) each.

    With a plain student the largest gains first, then the smallest (the worst of all first); else
    the largest deficits to the teacher (or the lowest mIoU), then the smallest. Of equal ones the
    earlier image comes first; those that are ignored altogether are never shown.
    """
    names, values = {s.role: s.name for s in scores}, differences(scores)
    first, second = (
        [int(i) for i in np.argsort(sign * values, kind='stable') if not np.isnan(values[i])]
        for sign in (1, -1)
    )
    title, sizes = f'{{}} mIoU of the {names[STUDENT]}', ('Lowest', 'Highest')
    if PLAIN in names:
        first, second = second, first
        title = f'{{}} gains: {names[STUDENT]} over {names[PLAIN]}'
        sizes = ('Best', 'Worst')
    elif TEACHER in names:
        title = f'{{}} deficit of the {names[STUDENT]} to the {names[TEACHER]}'
        sizes = ('Largest', 'Smallest')
    titles = map(title.format, sizes)
    count = min(count, len(first))
    half = (count + 1) // 2
    shown = first[:half]
    rest = [i for i in second if i not in shown][: count - half]
    return [(title, part) for title, part in zip(titles, (shown, rest)) if part]


@torch.no_grad()
def compare(
    cfg: Config,
    networks: Sequence[Network],
    count: int = 8,
    num_images: Optional[int] = None,
    progress: Optional[Callable[[int, int], None]] = None,
) -> Comparison:
    """Evaluate networks on the validation images of a config and choose images to show.

    Of all images only counts of pixels are kept; the images that are shown are predicted once more.

    Args:
        cfg: its ``val_dataloader`` gives the images, its ``val_evaluator`` the ``ignore_index``.
        networks: of different roles, one of them the 'student'.
        count: images to show, see :func:`choose`.
        num_images: evaluate the first ones only; None: all.
        progress: is called after every batch with the number of images so far and of all.

    Raises:
        ValueError, FileNotFoundError: a count below 1, or data without images, labels or the
            networks' classes.
    """
    check_counts(count=count, num_images=num_images)
    networks = sorted(networks, key=lambda n: ROLES.index(n.role))
    dataset = validation_data(cfg)
    classes = tuple(dataset.metainfo['classes'])
    for network in networks:
        if network.num_classes not in (None, len(classes)):
            advice = ' (leave it out: --no-teacher)' if network.role == TEACHER else ''
            raise ValueError(
                f'the {network.name} has {network.num_classes} classes, the validation data '
                f'{len(classes)} ({", ".join(classes[:3])}, ...): they cannot be compared{advice}'
            )
    ignore_index = ignore_index_of(cfg)

    images = Subset(dataset, range(min(len(dataset), num_images or len(dataset))))
    scores = _evaluate(cfg, images, networks, len(classes), ignore_index, progress)
    values, image_miou = differences(scores), np.stack([s.image_miou for s in scores], axis=1)
    sections = [
        Section(title, [_sample(dataset, i, networks, image_miou[i], values[i]) for i in indices])
        for title, indices in choose(scores, count)
    ]
    palette = np.array(dataset.metainfo['palette'], np.uint8).reshape(-1, 3)
    return Comparison(classes, palette, ignore_index, scores, sections)


def check_counts(**counts: Optional[int]) -> None:
    """Raise ValueError for what :func:`compare` does not take."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')


def _evaluate(
    cfg: Config,
    images: Dataset,
    networks: Sequence[Network],
    num_classes: int,
    ignore_index: int,
    progress: Optional[Callable[[int, int], None]],
) -> list[NetworkScores]:
    loader_cfg = cfg.val_dataloader.copy()
    # In the order of the data, whatever the config says: an index names an image.
    loader_cfg.update(dataset=images, sampler=dict(type='DefaultSampler', shuffle=False))
    counts = np.zeros((len(networks), 2, len(images), num_classes), np.int64)
    done = 0
    for batch in Runner.build_dataloader(loader_cfg, seed=0):
        for network, of_network in zip(networks, counts):
            samples = network.step(batch)
            for i, sample in enumerate(samples, start=done):
                label, prediction = _maps(sample, network)
                of_network[:, i] = count_pixels(prediction, label, num_classes, ignore_index)
        done += len(samples)
        if progress is not None:
            progress(done, len(images))
    return [NetworkScores(n.name, n.role, *c) for n, c in zip(networks, counts)]


def _sample(
    dataset: Dataset, index: int, networks: Sequence[Network], miou: np.ndarray, difference: float
) -> Sample:
    batch = pseudo_collate([dataset[index]])
    maps = []
    for network in networks:
        (sample,) = network.step(batch)
        label, prediction = _maps(sample, network)
        maps.append(prediction)
    image = mmcv.imread(sample.img_path, channel_order='rgb', backend='cv2')
    if image.shape[:2] != tuple(label.shape):  # a pipeline that resizes the labels too
        image = mmcv.imresize(image, tuple(label.shape)[::-1])
    label, *maps = (of.cpu().numpy().astype(np.int16) for of in (label, *maps))
    name = Path(sample.img_path).stem
    return Sample(index, name, image, label, maps, miou.tolist(), float(difference))


def _maps(sample: Any, network: Network) -> tuple[torch.Tensor, torch.Tensor]:
    label, prediction = (x.data.squeeze(0) for x in (sample.gt_sem_seg, sample.pred_sem_seg))
    if label.shape != prediction.shape:
        sizes = [f'{x.shape[0]} x {x.shape[1]}' for x in (prediction, label)]
        raise ValueError(
            f'the {network.name} predicts {sizes[0]} for {sample.img_path!r}, its label is '
            f'{sizes[1]}: in the validation pipeline LoadAnnotations comes after Resize'
        )
    return label, prediction
