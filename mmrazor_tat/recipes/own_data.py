"""A network's config on a data set of one's own."""

import copy
from pathlib import Path
from typing import Any

from mmengine import Config

from ..utils.configs import config_file, read_config_file
from ..utils.files import write_atomically
from ..utils.networks import pipeline_of
from .networks import RecipeError
from .text import _from_recipe


def config_to_inherit(config: str) -> Config:
    """A plain segmentor's config, as :func:`write_config_on_data` takes it, or RecipeError."""
    cfg = read_config_file(config_file(config))
    for key in ('model', 'train_dataloader', 'val_dataloader'):
        if key not in cfg:
            raise RecipeError(f'config {config!r} has no {key}')
    return cfg


def write_config_on_data(
    config: str, out: Path, dataset: dict[str, dict[str, Any]], classes: list[str]
) -> None:
    """Write a config that inherits another one, but for its data and its classes.

    Args:
        config: of a plain segmentor, a path or ``PACKAGE::NAME``.
        out: what is written.
        dataset: of 'train' and 'val', the data set without its pipeline: that of ``config`` stays.
        classes: their names.
    """
    cfg = config_to_inherit(config)
    settings: dict[str, Any] = dict(model=_heads(cfg.model, len(classes)))
    for name, of in dataset.items():
        pipeline = _pipeline(cfg, name)
        whole = dict(_delete_=True, **of, pipeline=pipeline)
        settings[f'{name}_dataloader'] = dict(dataset=whole)
    settings['test_pipeline'] = pipeline  # mmseg's inference reads it
    settings['test_dataloader'] = settings['val_dataloader']
    evaluator = dict(_delete_=True, type='IoUMetric', iou_metrics=['mIoU'])
    settings['val_evaluator'] = settings['test_evaluator'] = evaluator
    base = config if '::' in config else _from_recipe(config, out)
    text = f'_base_ = [{base!r}]\n{Config(settings).pretty_text}'
    write_atomically(out, text)


def _pipeline(cfg: Config, split: str) -> list[dict]:
    """Labels are read as they are."""
    pipeline = copy.deepcopy([*pipeline_of(cfg, split)])
    for transform in pipeline:
        if transform['type'].split('.')[-1] == 'LoadAnnotations':
            transform.pop('reduce_zero_label', None)
    return pipeline


def _heads(model: dict, count: int) -> dict[str, Any]:
    """What the heads need for so many classes."""
    heads = {}
    for name in ('decode_head', 'auxiliary_head'):
        head = model.get(name)
        if isinstance(head, (list, tuple)):  # which are inherited as a whole
            heads[name] = [{**copy.deepcopy(of), **_head(of, count)} for of in head]
        elif head:
            heads[name] = _head(head, count)
    return heads


def _head(head: dict, count: int) -> dict[str, Any]:
    if head.get('out_channels') == 1 and count != 2:
        raise RecipeError(
            f'{head.get("type")}: out_channels=1 is of two classes, the data have {count}: take '
            'another config'
        )
    changes: dict[str, Any] = dict(num_classes=count)
    if head.get('ignore_index', 255) != 255:
        changes['ignore_index'] = 255
    losses = head.get('loss_decode') or []
    several = isinstance(losses, (list, tuple))
    own = copy.deepcopy([*losses] if several else [losses])
    weighted = [loss for loss in own if loss.get('class_weight')]
    for loss in weighted:  # of other classes
        loss['class_weight'] = None
    if weighted:
        changes['loss_decode'] = own if several else own[0]
    return changes
