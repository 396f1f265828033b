"""A distillation recipe for any two networks: what to read, in which views, as a short config."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import torch
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from ..models.distillers.shared_connector_distiller import nearest_names
from ..models.recorders.token_map_recorder import map_size
from .features import Feature, build_model, features_of, input_size
from .model_config import config_file

# The fragment of each method, and which points it reads. Overhaul and KR read the stages of the
# backbones as well, which have to be named by hand (feature_points/stages_*.py show how).
METHODS = {
    'tat': ('tat', ('feature',)),
    'tat-patch': ('tat', ('feature',)),
    'tat-anchor': ('tat', ('feature',)),
    'tat-whole': ('tat', ('feature',)),
    'kd': ('kd', ('logits',)),
    'at': ('at', ('feature',)),
    'fitnet': ('fitnet', ('feature',)),
    'ickd': ('ickd', ('feature',)),
    'cwd': ('cwd', ('logits',)),
}
# The metric that TeacherCheckHook reads and the best checkpoint is chosen by.
_METRICS = dict(mmseg='mIoU', mmpretrain='accuracy/top1', mmdet='coco/bbox_mAP')
_HEADS = ('decode_head', 'head')


class RecipeError(ValueError):
    """A recipe cannot be made of what was given; the message says why and what would do."""


@dataclass(frozen=True)
class Point:
    """Where a network is read.

    Attributes:
        source: name of the module.
        recorder: type of the recorder.
        channels: of the map.
        size: (height, width) of the map; for tokens what ``TokenMap`` makes of them.
        what: a word on it, for the report.
    """

    source: str
    recorder: str
    channels: int
    size: tuple[int, int]
    what: str


@dataclass
class Network:
    """One side of the recipe.

    Attributes:
        role: 'student' or 'teacher'.
        name: the config as the user gave it.
        cfg: the same, read.
        model: built, random weights.
        features: what its modules give.
        points: 'feature' and 'logits', as far as the method reads them.
    """

    role: str
    name: str
    cfg: Config
    model: nn.Module
    features: list[Feature]
    points: dict[str, Point] = field(default_factory=dict)


def read_network(role: str, name: str, size: Optional[Sequence[int]] = None) -> Network:
    """Build a network from its config and run it once.

    Args:
        role: 'student' or 'teacher'.
        name: a config's path or ``PACKAGE::NAME``.
        size: (height, width) of the input. None: the config's training crop.

    Raises:
        RecipeError: the config is a recipe itself, or has no model.
        FileNotFoundError: there is no such config.
    """
    cfg = Config.fromfile(config_file(name))
    if 'model' not in cfg:
        raise RecipeError(f'{role} config {name!r} has no model')
    if 'architecture' in cfg.model:
        raise RecipeError(
            f'{role} config {name!r} is a distillation recipe: give the config of a plain network'
        )
    height, width = size or input_size(cfg)
    model = build_model(cfg)
    return Network(role, name, cfg, model, features_of(model, torch.zeros(1, 3, height, width)))


def choose_point(
    network: Network, kind: str, size: Sequence[int], source: Optional[str] = None
) -> Point:
    """Where to read the feature or the logits of a network.

    Args:
        network: the network.
        kind: 'feature': the last map of the head before an activation; 'logits': the last map of
            the head with as many channels as classes.
        size: (height, width) of the input.
        source: the module that the user names instead.

    Raises:
        RecipeError: no such module, or none that would do.
    """
    if source is not None:
        return _named_point(network, kind, size, source)
    heads = [f for f in network.features if f.source.split('.')[0] in _HEADS]
    if kind == 'feature':
        found = [f for f in heads if f.takes is not None and len(f.takes) == 4]
    else:
        classes = _classes(network.model)
        found = [f for f in heads if f.is_leaf and f.channels == classes and len(f.shape) == 4]
    if not found:
        what = 'map before an activation' if kind == 'feature' else 'map of logits'
        raise RecipeError(
            f'the {network.role} {network.name!r} has no {what} in its head: name a module with '
            f'--{network.role}-{kind} (tools/inspect_features.py lists them)'
        )
    return _point(network, found[-1], size)


def _classes(model: nn.Module) -> Optional[int]:
    for name in _HEADS:
        head = getattr(model, name, None)
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        for attribute in ('out_channels', 'num_classes'):
            if isinstance(getattr(head, attribute, None), int):
                return getattr(head, attribute)
    return None


def _named_point(network: Network, kind: str, size: Sequence[int], source: str) -> Point:
    option = f'--{network.role}-{kind}'
    by_source = {f.source: f for f in network.features}
    if source in by_source:
        return _point(network, by_source[source], size)
    known = [name for name, _ in network.model.named_modules() if name]
    if source in known:
        raise RecipeError(
            f'{option} {source!r}: this module of the {network.role} does not run, or gives no '
            'tensor, when it infers; choose another (tools/inspect_features.py lists those that do)'
        )
    nearest = ', '.join(map(repr, nearest_names(source, known)))
    raise RecipeError(
        f'{option} {source!r}: the {network.role} has no such module. Nearest: {nearest}'
    )


def _point(network: Network, feature: Feature, size: Sequence[int]) -> Point:
    shape = feature.takes or feature.shape
    what = feature.module if feature.takes is None else f'before its {feature.module}'
    if len(shape) == 4:
        recorder = 'ModuleOutputs' if feature.takes is None else 'PreActivation'
        return Point(feature.source, recorder, shape[1], tuple(shape[2:]), what)
    if len(feature.shape) == 3:
        height, width, _ = map_size(feature.shape[1], size)
        what = f'{feature.module}, {feature.shape[1]} tokens as a map'
        return Point(feature.source, 'TokenMap', feature.shape[2], (height, width), what)
    raise RecipeError(
        f'{network.role}: {feature.source!r} gives {tuple(shape)}, which is neither a map '
        '(B, C, H, W) nor tokens (B, N, C); choose another module'
    )


def choose_views(method: str, *sizes: tuple[int, int]) -> list[dict]:
    """Views of TaT for maps of these sizes, in the proportions of the paper's for ResNet-18.

    Patches of 8 x 8 positions (4 x 4 and 2 x 2 in small maps), four of them to a group, and about
    32 x 32 anchor points. On a map below 16 x 16 the whole map is the view, as in the paper's
    classification.

    Args:
        method: 'tat', 'tat-patch', 'tat-anchor' or 'tat-whole'.
        sizes: (H, W) of the student's and of the teacher's map.
    """
    height, width = (min(sides) for sides in zip(*sizes))
    side = min(height, width)
    if method == 'tat-whole' or (method == 'tat' and side < 16):
        return [dict(type='whole', weight=0.1)]
    patch = 8 if side >= 64 else 4 if side >= 16 else 2
    grid = (max(1, height // patch), max(1, width // patch))
    count = grid[0] * grid[1]
    groups = max(g for g in range(1, count + 1) if count % g == 0 and (g == 1 or g * 4 <= count))
    kernel = round(side / 32) if side >= 64 else 2 if side >= 8 else 1
    views = dict(
        patch=dict(type='patch', grid=grid, groups=groups, weight=0.1),
        anchor=dict(type='anchor', kernel=kernel, weight=0.04),
    )
    if method == 'tat-patch':
        return [views['patch']]
    if method == 'tat-anchor':
        return [{**views['anchor'], 'weight': 0.1}]
    return list(views.values())


def describe_views(views: list[dict], size: tuple[int, int]) -> list[str]:
    """A line for each view on the student's map."""
    lines = []
    height, width = size
    for view in views:
        if view['type'] == 'patch':
            rows, columns = view['grid']
            lines.append(
                f'patch groups: {rows} x {columns} patches of {height // rows} x '
                f'{width // columns}, {view["groups"]} groups'
            )
        elif view['type'] == 'anchor':
            kernel = view['kernel']
            lines.append(
                f'anchor points: {height // kernel} x {width // kernel} means of {kernel} x '
                f'{kernel}'
            )
        else:
            lines.append(f'the whole map: {height * width} positions')
    return lines


def recipe_text(
    method: str,
    student: Network,
    teacher: Network,
    out: Path,
    teacher_ckpt: Optional[str] = None,
    floor: Optional[float] = None,
    views: Optional[list[dict]] = None,
) -> str:
    """The recipe as a config file.

    Args:
        method: one of :data:`METHODS`.
        student, teacher: with their points chosen.
        out: where it will lie; paths are written relative to it.
        teacher_ckpt: a file or URL.
        floor: the least value of the metric that the teacher must reach on 100 images.
        views: of TaT.
    """
    fragment, kinds = METHODS[method]
    scope = student.cfg.get('default_scope') or 'mmseg'
    metric = _METRICS.get(scope, 'mIoU')
    comment = [f'# {method}: {_title(teacher.name)} teaches {_title(student.name)}.']
    points = []
    for network in (student, teacher):
        lines = [f'    {network.role}_recorders=dict(']
        for kind in kinds:
            point = network.points[kind]
            lines.append(
                f'        {kind}=dict(  # {point.channels} channels, {point.size[0]} x '
                f'{point.size[1]}'
            )
            lines.append(f'            type={point.recorder!r}, source={point.source!r}),')
        points += [*lines, '    ),']
    imports = list((student.cfg.get('custom_imports') or {}).get('imports') or ())
    imports += ['mmrazor_tat'] if 'mmrazor_tat' not in imports else []
    checkpoint = dict(student.cfg.get('default_hooks', {}).get('checkpoint') or {})
    best = '' if checkpoint.get('save_best') else f'    checkpoint=dict(save_best={metric!r}),\n'
    views_line = ''
    if views is not None:
        listed = ''.join(
            '    dict(' + ', '.join(f'{k}={v!r}' for k, v in view.items()) + '),\n'
            for view in views
        )
        views_line = f'_base_.method.distill_losses.loss_tat.views = [\n{listed}]\n'
    return (
        '\n'.join(comment)
        + '\n'
        + f"_base_ = [{_base(student.name, out)!r}, 'mmrazor_tat::_base_/methods/{fragment}.py']\n"
        + f'custom_imports = dict(imports={imports!r}, allow_failed_imports=False)\n\n'
        + '# Where to read the two networks.\n'
        + '_base_.method.update(\n'
        + '\n'.join(points)
        + '\n)\n'
        + views_line
        + '\nmodel = dict(\n'
        + "    type='mmrazor.FrozenTeacherDistill',\n"
        + "    architecture=_base_.pop('model'),\n"
        + f"    teacher=__import__('mmrazor_tat').model_config({_path(teacher.name, out)}),\n"
        + f'    teacher_ckpt={_path(teacher_ckpt, out) if teacher_ckpt else None},\n'
        + "    distiller=_base_.pop('method'))\n"
        + '\n# The teacher is tried before the first iteration, and evaluated beside the student.\n'
        + 'default_hooks = dict(\n'
        + "    teacher_check=dict(type='mmrazor.TeacherCheckHook', num_images=100, "
        + f'floor={floor!r}, metric={metric!r}),\n'
        + "    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'),\n"
        + best
        + ')\n'
    )


def _title(name: str) -> str:
    return Path(name.split('::')[-1]).stem


def _base(name: str, out: Path) -> str:
    return name if '::' in name else os.path.relpath(name, out.parent)


def _path(name: str, out: Path) -> str:
    """A Python expression for a file: relative to the recipe, so that a folder can be moved."""
    if '::' in name or '://' in name:
        return repr(name)
    return repr('{{ fileDirname }}/' + os.path.relpath(os.path.expanduser(name), out.parent))


def build_recipe(file: Path) -> nn.Module:
    """Build the algorithm of a recipe; its probe checks all that can be known before training.

    Raises:
        ValueError, FileNotFoundError: what does not fit, by name.
    """
    cfg = Config.fromfile(file)
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    return MODELS.build(cfg.model)


def check_out(out: Path, force: bool) -> None:
    """Raise RecipeError where a recipe cannot be written, before anything is computed."""
    if out.suffix != '.py' or not re.fullmatch(r'[^.]+', out.stem):
        raise RecipeError(f'--out must name a .py file without other dots in its name, got {out}')
    if out.exists() and not force:
        raise RecipeError(f'--out {out} exists: choose another name, or add --force')
