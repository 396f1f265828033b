"""The two networks of a recipe, and where each is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

import torch
from mmengine import Config
from torch import nn

from ..models.distillers.records import nearest_names
from ..models.forward import ModuleError, input_channels
from ..models.recorders.token_map_recorder import map_size
from ..utils.configs import config_file, is_recipe, read_config_file
from ..utils.errors import UserError, said
from .features import Feature, build_model, features_of, input_size


class RecipeError(UserError):
    """A recipe cannot be made of what was given; the message says why and what would do."""


_HEADS = ('decode_head', 'head')


@dataclass(frozen=True)
class Point:
    """Where a network is read."""

    source: str  # name of the module
    recorder: str  # its type
    channels: int
    size: tuple[int, int]  # of the map; for tokens what ``TokenMap`` makes of them
    what: str  # a word on it, for the report


@dataclass
class Network:
    """One side of the recipe."""

    role: str  # 'student' or 'teacher'
    name: str  # the config as the user gave it
    cfg: Config
    model: nn.Module  # random weights
    features: list[Feature]
    points: dict[str, Point] = field(default_factory=dict)  # 'feature', 'logits', as far as read


def read_network(role: str, name: str, size: Optional[Sequence[int]] = None) -> Network:
    """Build a network from its config, a path or ``PACKAGE::NAME``, and run it once on an input of
    ``size`` or the config's training crop; RecipeError or FileNotFoundError where that fails."""
    file = config_file(name)
    try:
        cfg = read_config_file(file)
    except UserError as error:
        raise RecipeError(f'{role} {error}') from error
    if role == 'student' and getattr(cfg, '_imported_names', None):
        raise RecipeError(
            f'{role} config {name!r} is a Python module (lazy import), which no text config can '
            'inherit: Config.fromfile(PATH).dump(OTHER) writes it as one'
        )
    if 'model' not in cfg:
        raise RecipeError(f'{role} config {name!r} has no model')
    if is_recipe(cfg):
        raise RecipeError(
            f'{role} config {name!r} is a distillation recipe: give the config of a plain network'
        )
    height, width = size or input_size(cfg)
    try:
        model = build_model(cfg)
    except Exception as error:
        raise RecipeError(f'{role} config {name!r} cannot be built: {said(error)}') from error
    try:
        features = features_of(model, torch.zeros(1, input_channels(model), height, width))
    except ModuleError as error:
        raise RecipeError(
            f'{role} config {name!r} cannot be run on an input of {height} x {width}: {error}'
        ) from error
    return Network(role, name, cfg, model, features)


def choose_point(
    network: Network, kind: str, size: Sequence[int], source: Optional[str] = None
) -> Point:
    """Where to read a network that runs on an input of ``size`` (height, width).

    Its 'feature': the last map of the head before an activation, one as fine as the logits where
    there is any; its 'logits': the last map of the head with as many channels as classes; or the
    module that the user names instead, RecipeError where it would not do.
    """
    if source is not None:
        option = f'--{network.role}-{kind}'
        by_source = {f.source: f for f in network.features}
        if source in by_source:
            return _point(network, by_source[source], size)
        known = [name for name, _ in network.model.named_modules() if name]
        if source in known:
            raise RecipeError(
                f'{option} {source!r}: this module of the {network.role} does not run, or gives no '
                'tensor, when it infers; choose another (tools/inspect_features.py lists those '
                'that do)'
            )
        text = f'{option} {source!r}: the {network.role} has no such module. Nearest: '
        raise RecipeError(text + nearest_names(source, known))
    heads = [f for f in network.features if f.source.split('.')[0] in _HEADS]
    classes = class_count(network.model)
    logits = [f for f in heads if f.is_leaf and f.channels == classes and _is_map(f.shape, size)]
    found = logits
    if kind == 'feature':
        found = [f for f in heads if f.takes is not None and _is_map(f.takes, size)]
        as_fine = [f for f in found if logits and f.takes[2] >= logits[-1].shape[2]]
        found = as_fine or found
    if not found:
        what = 'map before an activation' if kind == 'feature' else 'map of logits'
        maps = [f.source for f in network.features if f.is_leaf and _is_map(f.shape, size)][-3:]
        raise RecipeError(
            f'the {network.role} {network.name!r} has no {what} in its head: name a module with '
            f'--{network.role}-{kind} (its last maps: {", ".join(maps) or "none"}; '
            'tools/inspect_features.py lists all)'
        )
    return _point(network, found[-1], size)


def _is_map(shape: Sequence[int], size: Sequence[int]) -> bool:
    """Whether (B, C, H, W) has positions in about the image's proportions, and not more of them."""
    if len(shape) != 4 or min(shape[2:]) < 1:
        return False
    # Each side may be rounded up or down to whole positions.
    strides = [(length / (n + 1), length / max(n - 1, 0.5)) for n, length in zip(shape[2:], size)]
    (low, high), (other_low, other_high) = strides
    return max(low, other_low) <= min(high, other_high) and min(high, other_high) >= 1


def class_count(model: nn.Module) -> Optional[int]:
    """The classes of a network's head; None where it does not say."""
    for name in _HEADS:
        head = getattr(model, name, None)
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        for attribute in ('out_channels', 'num_classes'):
            if isinstance(getattr(head, attribute, None), int):
                return getattr(head, attribute)
    return None


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
