"""What the modules of a network give: shapes, strides, before or after an activation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from ..compat import turn_off_inplace
from ..models.forward import run

# What carries a feature on; not gates (sigmoid) and not weights (softmax).
_ACTIVATIONS = {
    'CELU', 'ELU', 'GELU', 'GLU', 'Hardswish', 'HSwish', 'LeakyReLU', 'Mish', 'PReLU',
    'QuickGELU', 'ReLU', 'ReLU6', 'RReLU', 'SELU', 'SiLU', 'Softplus', 'Swish', 'Clamp',
}  # fmt: skip
PRE, POST = 'pre-activation', 'post-activation'


@dataclass(frozen=True)
class Feature:
    """A module's result in the last of its calls of one forward pass."""

    source: str  # the name of the module, as a recorder takes it
    module: str  # its class
    shape: tuple[int, ...]  # of the first tensor where the result is a tuple
    stride: Optional[float]  # height of the image over that of the map; None for what is no map
    kind: str  # whether an activation takes this result (PRE), or gave it (POST); '' neither
    takes: Optional[tuple[int, ...]]  # of an activation, the shape of a ``PreActivation`` record
    calls: int
    order: int  # the place of its last call among all calls
    is_leaf: bool  # it has no modules of its own

    @property
    def channels(self) -> Optional[int]:
        """Of a map (B, C, H, W) or of tokens (B, N, C); None for what is neither."""
        return {4: self.shape[1], 3: self.shape[-1]}.get(len(self.shape)) if self.shape else None


def build_model(cfg: Config) -> nn.Module:
    """The ``model`` of a config, in eval mode with random weights, nothing in place."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model).eval()
    # As FrozenTeacherDistill has it: else a result is overwritten by what follows.
    turn_off_inplace(model)
    return model


def training_crop(cfg: Config) -> Optional[tuple[int, int]]:
    """(height, width) of the training crop of a config; None where it names none."""
    size = (cfg.model.get('data_preprocessor') or {}).get('size') or cfg.get('crop_size')
    # mmpretrain's configs name the crop in the training pipeline alone.
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    keys = dict(RandomCrop='crop_size', CenterCrop='crop_size', RandomResizedCrop='scale')
    for transform in reversed(dataset.get('pipeline', [])):
        size = size or transform.get(keys.get(transform['type'].split('.')[-1]))
    size = size or (32 if 'CIFAR' in dataset.get('type', '') else None)
    return (size, size) if isinstance(size, int) else size and tuple(size)


def input_size(cfg: Config) -> tuple[int, int]:
    """The same, 512 x 512 where it names none."""
    return training_crop(cfg) or (512, 512)


@torch.no_grad()
def features_of(model: nn.Module, inputs: Tensor) -> list[Feature]:
    """All modules that run in ``model(inputs, mode='tensor')``, in the order of their results; the
    model is in eval mode, nothing in place, the inputs are (1, C, H, W). May raise ModuleError."""
    calls: dict[str, list] = {}
    taken: dict[str, Tensor] = {}
    kept: list[Any] = []  # alive until the end, so that no id is given twice
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        is_activation = type(module).__name__ in _ACTIVATIONS

        def hook(_, args, output):
            kept.append((args, output))
            calls.setdefault(name, []).append((len(kept), output))
            if is_activation and args:
                taken[name] = args[0]

        handles.append(module.register_forward_hook(hook))

    for name, module in model.named_modules():
        if name:
            watch(name, module)
    try:
        run(model, inputs)
    finally:
        for handle in handles:
            handle.remove()

    pre = {id(x) for x in taken.values()}
    post = {id(_tensor(calls[name][-1][1])) for name in taken}
    features = []
    for name, results in calls.items():
        order, output = results[-1]
        x = _tensor(output)
        if x is None:
            continue
        module = model.get_submodule(name)
        features.append(
            Feature(
                name,
                type(module).__name__,
                tuple(x.shape),
                inputs.shape[2] / x.shape[2] if x.dim() == 4 else None,
                POST if id(x) in post else PRE if id(x) in pre else '',
                tuple(taken[name].shape) if name in taken else None,
                len(results),
                order,
                not any(True for _ in module.children()),
            )
        )
    return sorted(features, key=lambda feature: feature.order)


def feature_table(features: Sequence[Feature], pattern: str = '') -> list[list[str]]:
    """Rows of text: source, module, shape, channels, stride, kind, of the sources that match."""
    rows = [['source', 'module', 'shape', 'channels', 'stride', 'what it is']]
    for feature in (of for of in features if re.search(pattern, of.source)):
        kind = feature.kind
        if feature.takes is not None:
            kind += f"; type='PreActivation' records what it takes, {_times(feature.takes)}"
        elif len(feature.shape) == 3:
            kind = (kind + '; ' if kind else '') + "tokens: type='TokenMap' records a map"
        if feature.calls > 1:
            kind += f' (runs {feature.calls} times; this is the last)'
        stride = '' if feature.stride is None else f'{feature.stride:g}'
        row = [feature.source, feature.module, _times(feature.shape), str(feature.channels or '')]
        rows.append([*row, stride, kind])
    return rows


def _times(shape: tuple[int, ...]) -> str:
    return ' x '.join(map(str, shape))


def _tensor(output: Any) -> Optional[Tensor]:
    """The tensor of a module's result, the first of several."""
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None
