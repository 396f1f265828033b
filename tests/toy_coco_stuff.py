"""Drawn scenes in the layout of COCO-Stuff 10K."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def write_toy_coco_stuff(
    voc: Path, root: Path, id_of: Callable[[np.ndarray], np.ndarray] = lambda label: 1 + label
) -> Path:
    """The images of a root in VOC's layout as a root of COCO-Stuff.

    Args:
        voc: from ``write_toy_voc``.
        root: an empty folder.
        id_of: of classes in VOC's labels those in COCO-Stuff's, where 0 is "unlabeled" and ignored.
    """
    for ours, theirs in (('train', 'train2014'), ('val', 'test2014')):
        for folder in ('images', 'annotations'):
            (root / folder / theirs).mkdir(parents=True)
        for name in (voc / f'ImageSets/Segmentation/{ours}.txt').read_text().split():
            shutil.copy(voc / f'JPEGImages/{name}.jpg', root / 'images' / theirs)
            label = np.array(Image.open(voc / f'SegmentationClass/{name}.png'))
            label[label != 255] = id_of(label[label != 255])
            Image.fromarray(label).save(root / 'annotations' / theirs / f'{name}_labelTrainIds.png')
    return root
