"""Right input that no packaged config has: each is read under the checks as without them."""

import copy
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import pytest
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import Runner
from mmseg.datasets import PascalVOCDataset
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import DATASETS, TRANSFORMS
from mmseg_drawing import draw
from mmseg_layouts import checked_dataset
from PIL import Image
from torch import nn

IMAGE, LABEL, PACK = (
    dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')
)
PLAIN = [IMAGE, LABEL, PACK]
RESIZE = dict(type='Resize', scale=(64, 64), keep_ratio=False)
VOC = dict(classes=PascalVOCDataset.METAINFO['classes'])


@DATASETS.register_module()
class VOCWithCategories(PascalVOCDataset):
    """What ClassBalancedDataset asks for."""

    def get_cat_ids(self, index: int) -> list[int]:
        return [index % 2]


@DATASETS.register_module()
class VOCOfKeys(PascalVOCDataset):
    """Its loaders know where the files of a key are."""

    def load_data_list(self) -> list[dict]:
        infos = super().load_data_list()
        for info in infos:
            for key in ('img_path', 'seg_map_path'):
                info[f'real_{key}'], info[key] = info[key], Path(info[key]).name
        return infos


@TRANSFORMS.register_module()
class LoadImageOfKey(LoadImageFromFile):
    def transform(self, results: dict) -> dict:
        return super().transform(results | dict(img_path=results['real_img_path']))


@TRANSFORMS.register_module()
class LoadLabelOfKey(LoadAnnotations):
    def transform(self, results: dict) -> dict:
        return super().transform(results | dict(seg_map_path=results['real_seg_map_path']))


@TRANSFORMS.register_module()
class ColoursToIds(BaseTransform):
    def transform(self, results: dict) -> dict:
        results['gt_seg_map'] = results['gt_seg_map'][..., 0]
        return results


@TRANSFORMS.register_module()
class QuarterIds(BaseTransform):
    def transform(self, results: dict) -> dict:
        results['gt_seg_map'] //= 4
        return results


class Elsewhere(LocalBackend):
    """A storage whose paths are none of this machine."""

    def get(self, filepath) -> bytes:
        return super().get(str(filepath).replace('/img/', '/stored/').replace('/ann/', '/stored/'))


register_backend('elsewhere', Elsewhere, force=True)


def _move_elsewhere(root: Path) -> None:
    (root / 'stored').mkdir()
    for path in [*(root / 'img').iterdir(), *(root / 'ann').iterdir()]:
        path.rename(root / 'stored' / path.name)


def _relabel(root: Path, change) -> None:
    for path in (root / 'ann').iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)))).save(path)


def _an_image(root: Path) -> Path:
    return sorted((root / 'img').iterdir())[0]


def _repeated(data: dict) -> dict:
    return dict(type='RepeatDataset', times=3, dataset=data)


def _mosaic(data: dict) -> dict:
    # mmseg draws an index one beyond the last, too: repeated, it is the first.
    mix = dict(type='RandomMosaic', prob=1.0, img_scale=(64, 64))
    inner = _repeated(data | dict(pipeline=PLAIN[:2]))
    return dict(type='MultiImageMixDataset', dataset=inner, pipeline=[mix, PACK])


def _balanced(data: dict) -> dict:
    data = data | dict(type='VOCWithCategories')
    return dict(type='ClassBalancedDataset', oversample_thr=0.9, dataset=data)


def _joined(data: dict) -> dict:
    return dict(type='ConcatDataset', datasets=[_repeated(data)] * 2)


class Right(NamedTuple):
    """What is other than in a plain data set of three images, with labels and a list."""

    pipeline: list[dict] = PLAIN
    settings: dict = {}  # of the data set
    wrap: Callable[[dict], dict] = dict
    files: Optional[Callable[[Path], Any]] = None  # changes them, below the root
    count: int = 3
    run: dict = {}  # settings beside the data set


_OF_EMPTY = [IMAGE | dict(ignore_empty=True), LABEL, PACK]
_HEAD_OF_255 = dict(decode_head=dict(ignore_index=255))
_REMOTE = dict(backend_args=dict(backend='elsewhere'))
RIGHT = {
    'plain': Right(),
    'resized image': Right([IMAGE, RESIZE, LABEL, PACK]),
    'mosaic': Right(wrap=_mosaic, count=9),
    'balanced': Right(wrap=_balanced, count=6),
    'joined': Right(wrap=_joined, count=18),
    'indices': Right(settings=dict(indices=[0, 2]), count=2),
    'lazy': Right(settings=dict(lazy_init=True)),
    'no list': Right(settings=dict(type='BaseSegDataset', ann_file='', metainfo=VOC)),
    'no labels': Right([IMAGE, PACK], dict(data_prefix=dict(img_path='img'))),
    'labels not read': Right([IMAGE, PACK], files=lambda root: shutil.rmtree(root / 'ann')),
    'image missing': Right(_OF_EMPTY, files=lambda root: _an_image(root).unlink()),
    'image empty': Right(_OF_EMPTY, files=lambda root: _an_image(root).write_bytes(b'')),
    'colours': Right(
        [IMAGE, LABEL, dict(type='ColoursToIds'), PACK],
        files=lambda root: _relabel(root, lambda label: np.stack(3 * [label], axis=-1)),
    ),
    'other ids': Right(
        [IMAGE, LABEL, dict(type='QuarterIds'), PACK],
        files=lambda root: _relabel(root, lambda label: np.minimum(label, 20) * 4),
    ),
    'keys': Right(
        [dict(type='LoadImageOfKey'), dict(type='LoadLabelOfKey'), PACK], dict(type='VOCOfKeys')
    ),
    'other storage': Right([IMAGE | _REMOTE, LABEL | _REMOTE, PACK], files=_move_elsewhere),
    # mmseg keeps a data set's ignore_index and reads it nowhere: 255 is ignored in any case.
    'ignored 0': Right(settings=dict(ignore_index=0)),
    'ignored None': Right(settings=dict(ignore_index=None), run=dict(model=_HEAD_OF_255)),
    'ignored zero label': Right(settings=dict(ignore_index=0, reduce_zero_label=True)),
    'ignored by the evaluator': Right(
        files=lambda root: _relabel(root, lambda label: label - (label == 255)),
        run=dict(val_evaluator=[dict(type='IoUMetric', ignore_index=254)]),
    ),
}


@pytest.mark.parametrize('name', RIGHT)
def test_it_is_read_as_by_mmengine(name, tmp_path):
    right = RIGHT[name]
    data = dict(
        type='PascalVOCDataset',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        ann_file='list.txt',
        pipeline=right.pipeline,
    )
    draw(data)
    if right.files is not None:
        right.files(tmp_path)
    sampler = dict(type='DefaultSampler', shuffle=False)
    dataset = right.wrap(data | right.settings)
    loader = dict(batch_size=1, num_workers=0, sampler=sampler, dataset=dataset)
    cfg = Config(dict(model=dict()) | right.run)
    plain = Runner.build_dataloader(copy.deepcopy(loader), seed=0).dataset
    checked = checked_dataset(copy.deepcopy(loader), cfg, nn.Module())
    assert len(checked) == len(plain) == right.count
    for index in range(right.count):
        expected, sample = _sample(plain, index), _sample(checked, index)
        assert sample['inputs'].equal(expected['inputs'])
        labels = [of['data_samples'].get('gt_sem_seg') for of in (sample, expected)]
        assert (labels[0] is None) == (right.pipeline == [IMAGE, PACK])
        assert labels[0] is None or labels[0].data.equal(labels[1].data)


def _sample(dataset, index: int) -> dict:
    random.seed(index)
    np.random.seed(index)
    return dataset[index]
