"""Whether the weights of a file are those of a network."""

import re
from typing import Any

from torch import Tensor, nn

from ...models.teacher.checkpoints import plain_student_keys
from ...utils.config_settings import dicts_of

_SHOWN = 3
# Our algorithm puts its own teacher back, and names it; counters are never read in evaluation.
_NOT_NEEDED = re.compile(r'^teacher\.|^teacher_identity$|(^|\.)num_batches_tracked$')
_NOT_EVALUATED = re.compile(r'^(architecture\.)?auxiliary_head\.')


def check_fit(
    model: nn.Module, content: Any, purpose: str, name: str, may_have_prefix: bool = False
) -> None:
    """Raise ValueError, beginning with ``name``, where weights of a file do not serve their
    purpose.

    'test' needs every weight of the network that is evaluated (an auxiliary head is not), 'resume'
    every one and no others, 'start' one that fits; then names in the file ``may_have_prefix``, one
    more part, as those of an ``init_cfg``. A distillation takes the weights of a plain network as
    its student's to start from, and for nothing else.
    """
    weights = content.get('state_dict', content) if isinstance(content, dict) else {}
    weights = {k.removeprefix('module.'): v for k, v in weights.items() if isinstance(v, Tensor)}
    own = model.state_dict()
    does_not_fit = f'{name} does not fit the {type(model).__name__} of the config: '
    plain = plain_student_keys(model, weights)
    if plain and purpose != 'start':
        cure = dict(
            resume='begin one from it, with --cfg-options load_from=PATH and without --resume',
            test="evaluate it with the student's own config",
        )
        raise ValueError(
            f'{does_not_fit}it holds a plain network, and the other weights are missing; '
            f'{cure[purpose]}'
        )
    if plain:
        weights = {f'architecture.{key}': weights[key] for key in plain}
    fitting = {key for key in own if key in weights and weights[key].shape == own[key].shape}
    if purpose == 'start':
        prefixes = {key.split('.')[0] + '.' for key in weights} if may_have_prefix else ()
        if not fitting and not any(prefix + key in weights for prefix in prefixes for key in own):
            part = _part(model, weights)
            raise ValueError(f"{does_not_fit}none of its weights is one of the network's{part}")
        return
    problems = {}
    for key in own.keys() - fitting:
        if key in weights:
            shapes = tuple(weights[key].shape), tuple(own[key].shape)
            problems[key] = f'is {shapes[0]}, {shapes[1]} is needed'
        elif purpose == 'resume' or not _NOT_EVALUATED.search(key):
            problems[key] = 'is missing'
    if purpose == 'resume':
        problems.update({key: "is none of the model's" for key in weights if key not in own})
    order = [key for key in (*own, *weights) if key in problems]  # the model's
    texts = [f'{k} {problems[k]}' for k in dict.fromkeys(order) if not _NOT_NEEDED.search(k)]
    if texts:
        more = f'; and {len(texts) - _SHOWN} more' if len(texts) > _SHOWN else ''
        raise ValueError(does_not_fit + '; '.join(texts[:_SHOWN]) + more)


def _part(model: nn.Module, weights: dict[str, Tensor]) -> str:
    """Words for weights that are those of a part of the network, e.g. of its backbone; else ''."""
    for name, part in model.named_modules():
        if not name or name.split('.')[0] == 'teacher' or not any(True for _ in part.children()):
            continue
        own = part.state_dict()
        if any(key in weights and weights[key].shape == own[key].shape for key in own):
            how = 'give it an init_cfg of type Pretrained'
            if name.split('.')[-1] == 'backbone':
                how = '--cfg-options pretrained=PATH loads them there'
            return f'; they are of its {name}: {how}'
    return ''


def pretrained_files(model: dict) -> list[tuple[str, str]]:
    """(dotted key, path) of the files that the networks to be trained start from; no URLs."""
    found = []
    for path, node in dicts_of(model, 'model'):
        if path.startswith('model.teacher.') or path == 'model.teacher':
            continue
        init = node.get('init_cfg')
        for one in init if isinstance(init, (list, tuple)) else [init]:
            if isinstance(one, dict) and one.get('type') == 'Pretrained':
                found.append((f'{path}.init_cfg.checkpoint', one.get('checkpoint')))
        if node.get('pretrained') not in (None, True, False):  # a bool is of timm's networks
            found.append((f'{path}.pretrained', node['pretrained']))
    return [(key, str(value)) for key, value in found if '://' not in str(value)]
