"""The distinct data configs among mmseg's packaged ones, made small enough to run in seconds."""

import contextlib
import copy
import functools
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmseg
from mmengine import Config
from mmengine.registry import DATASETS
from mmseg_drawing import draw
from torch import nn

from mmrazor_tat.engine.runner.guarded_runner import GuardedRunner
from mmrazor_tat.utils.config_settings import dicts_of

CONFIGS = Path(mmseg.__file__).parent / '.mim' / 'configs'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_PARTS = (*LOADERS, 'val_evaluator', 'test_evaluator')
CROP = 64
_SIZES = ('crop_size', 'scale', 'scales', 'max_size', 'size')  # of transforms, in pixels
# Sizes and places, which another data set of the same kind may have.
_NO_DIFFERENCE = {*_SIZES, 'batch_size', 'num_workers', 'persistent_workers', 'data_root', 'times'}
# albumentations is no stand-in's work: its augmentation is left out of the training pipelines.
_LEFT_OUT = ('Albu',)


@dataclass
class Case:
    """A data config: the first that has it, and the packaged leaf configs that do."""

    name: str
    cfg: Config
    users: list[str] = field(default_factory=list)


@functools.cache
def packaged_configs() -> dict[str, Config]:
    """All leaf configs by path, without the packages (mmdet, mmpretrain) that some networks need.

    That is what is read of them: the data parts need no such package.
    """
    with _bases_read_once():
        return {
            path.relative_to(CONFIGS).as_posix(): Config.fromfile(path, import_custom_modules=False)
            for path in sorted(CONFIGS.rglob('*.py'))
            if '_base_' not in path.parts
        }


@contextlib.contextmanager
def _bases_read_once() -> Iterator[None]:
    """mmengine writes and reads two files for each base of each config, 8000 for mmseg's."""
    original, known = Config._file2dict, {}

    def file2dict(*args, **kwargs):
        key = repr((args, sorted(kwargs.items())))
        if key not in known:
            known[key] = original(*args, **kwargs)
        return copy.deepcopy(known[key])

    Config._file2dict = staticmethod(file2dict)
    try:
        yield
    finally:
        Config._file2dict = staticmethod(original)


def lacking_packages() -> dict[str, list[str]]:
    """Leaf configs by the package that is not installed here and that their networks are of."""
    lacking: dict[str, list[str]] = {}
    for name, cfg in packaged_configs().items():
        types = [node.get('type') for _, node in dicts_of(cfg.model)]
        packages = {kind.split('.')[0] for kind in types if isinstance(kind, str) and '.' in kind}
        for package in sorted(packages):
            if importlib.util.find_spec(package) is None:
                lacking.setdefault(package, []).append(name)
    return lacking


@functools.cache
def cases() -> list[Case]:
    """One for each distinct data config, of the data set fragments and of the leaf configs."""
    found: dict[str, Case] = {}
    for path in sorted((CONFIGS / '_base_/datasets').glob('*.py')):
        found.setdefault(_key(cfg := Config.fromfile(path)), Case(path.stem, cfg))
    for name, cfg in packaged_configs().items():
        short = name.removesuffix('.py').replace('/', ':')
        found.setdefault(_key(cfg), Case(short, cfg)).users.append(name)
    return list(found.values())


def _key(cfg: Config) -> str:
    return json.dumps(_plain({part: cfg[part] for part in _PARTS}), sort_keys=True)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(node[key]) for key in node if key not in _NO_DIFFERENCE}
    return [_plain(item) for item in node] if isinstance(node, (list, tuple)) else node


def proper(dataset: dict) -> Iterator[dict]:
    """The data sets below any wrapper."""
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    for one in inner:
        if one is None:
            yield dataset
        else:
            yield from proper(one)


def derive(case: Case, root: Path, segmentor: dict) -> tuple[Config, int]:
    """A config of two iterations with the data part of a case, and how many images were drawn.

    Args:
        root: where the data sets are drawn, a folder for each ``data_root`` of the case.
        segmentor: the small network, whose head gets the classes and the backbone the channels.
    """
    cfg = Config.fromfile(CONFIGS / '_base_/default_runtime.py')
    cfg.merge_from_dict(Config.fromfile(CONFIGS / '_base_/schedules/schedule_20k.py').to_dict())
    parts = copy.deepcopy({part: case.cfg[part] for part in _PARTS})
    factor = CROP / _largest(parts['train_dataloader'])
    roots: dict[str, Path] = {}
    drawn = {}
    if metainfo := parts['val_dataloader'].dataset.get('metainfo'):
        for dataset in proper(parts['train_dataloader'].dataset):
            dataset.metainfo = metainfo  # SAN on VOC: mmseg trains 21 classes on a head of 20
    for name in LOADERS:
        loader = parts[name]
        loader.update(num_workers=0, persistent_workers=False, batch_size=2 if 'tr' in name else 1)
        for dataset in proper(loader.dataset):
            dataset.pipeline = _small(dataset.pipeline, factor)
            old = dataset.data_root
            dataset.data_root = str(roots.setdefault(old, root / f'root_{len(roots)}'))
            key = str((dataset.data_root, dataset.data_prefix, dataset.get('ann_file')))
            if key not in drawn:
                drawn[key] = draw(dataset)
    if 'tta_pipeline' in case.cfg:  # as tools/test.py --tta, and mmseg's, read the test data
        parts['tta_dataloader'] = copy.deepcopy(parts['test_dataloader'])
        parts['tta_dataloader'].dataset.pipeline = case.cfg.tta_pipeline
    cfg.merge_from_dict(parts)
    cfg.custom_imports = dict(imports=['stand_ins'], allow_failed_imports=False)
    cfg.model = _network(case, parts, segmentor)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.update(interval=2)
    cfg.default_hooks.logger.update(interval=1)
    cfg.randomness = dict(seed=0)
    return cfg, sum(drawn.values())


def checked_dataset(loader: dict, cfg: Config, network: nn.Module) -> Any:
    """The data set of a loader as our tools build it, here without the rest of a run."""
    runner = GuardedRunner.__new__(GuardedRunner)
    runner.cfg, runner.model = cfg, network
    runner._train_dataloader = cfg.get('train_dataloader')
    return runner.build_dataloader(loader, seed=0).dataset


def classes_of(dataset: dict) -> tuple[str, ...]:
    """Of a data set config: its own, else those of its class."""
    first = next(proper(dataset))
    own = (first.get('metainfo') or {}).get('classes') or first.get('used_labels')
    kind = DATASETS.get(f'mmseg.{first["type"]}')
    if first['type'] == 'DSDLSegDataset' and not own:
        from stand_ins import CLASSES

        own = ('background', *CLASSES)
    return tuple(own or kind.METAINFO['classes'])


def _network(case: Case, parts: dict, segmentor: dict) -> dict:
    model = copy.deepcopy(segmentor)
    of_case = case.cfg.get('data_preprocessor') or {}
    model.data_preprocessor.update({k: of_case[k] for k in ('test_cfg',) if k in of_case})
    leaf = next(proper(parts['train_dataloader'].dataset))
    if 'img_path2' in leaf.data_prefix:  # LEVIR: both images on top of each other
        model.backbone.in_channels = 6
        for key in ('mean', 'std'):
            model.data_preprocessor[key] = 2 * list(model.data_preprocessor[key])
    if 'depth_map_path' in leaf.data_prefix:
        model.type = 'DepthEstimator'
        model.data_preprocessor.seg_pad_val = 0
        model.pop('auxiliary_head')
        base = model.backbone.base_channels = model.backbone.stem_channels = 16
        model.backbone.update(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
        widths, small = [base, 2 * base, 4 * base, 8 * base], dict(embed_dim=4, feature_dim=32)
        model.decode_head = dict(
            type='VPDDepthHead', in_channels=widths, num_deconv_filters=(8, 8, 8), **small
        )
        model.test_cfg = dict(mode='slide_flip', crop_size=(CROP, CROP), stride=(32, 32))
    else:
        for head in (model.decode_head, model.auxiliary_head):
            head.num_classes = len(classes_of(parts['train_dataloader'].dataset))
    return model


def _largest(loader: dict) -> float:
    """The longer side of the crop of a training pipeline, or half of what it resizes to."""
    pipeline = next(proper(loader['dataset']))['pipeline']
    crops = [max(transform['crop_size']) for transform in pipeline if 'crop_size' in transform]
    scales = [max(transform['scale']) / 2 for transform in pipeline if 'scale' in transform]
    return max([CROP, *crops, *scales])


def _small(pipeline: list[dict], factor: float) -> list[dict]:
    pipeline = [dict(of) for of in pipeline if of['type'] not in _LEFT_OUT]
    for transform in pipeline:
        for key in _SIZES:
            if isinstance(value := transform.get(key), (int, float, list, tuple)):
                is_crop = key in ('crop_size', 'size')
                transform[key] = (CROP, CROP) if is_crop else _scaled(value, factor)
    return pipeline


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_scaled(one, factor) for one in value)
    return max(32, round(value * factor))
