"""Whether the weights of a file are those of a network."""

import re
from typing import Any

from torch import Tensor, nn

from ...models.teacher.checkpoints import plain_student_keys

_SHOWN = 3
# Our algorithm puts its own teacher back, and names it; counters are never read in evaluation.
_NOT_EVALUATED = re.compile(r'^(architecture\.)?auxiliary_head\.\S* is missing$')
_NOT_NEEDED = re.compile(r'^teacher\.|^teacher_identity$|(^|\.)num_batches_tracked$')


def check_fit(
    model: nn.Module, content: Any, purpose: str, name: str, may_have_prefix: bool = False
) -> None:
    """Compare the weights of a file with those of the network that is to have them.

    Args:
        model: the network; not changed.
        content: of the file.
        purpose: 'test' needs every weight of the network that is evaluated (an auxiliary head is
            not), 'resume' every one and no others, 'start' one that fits. A distillation takes the
            weights of a plain network as its student's to start from, and for nothing else.
        name: of the file; the error begins with it.
        may_have_prefix: whether names in the file may begin with one more part, as those of an
            ``init_cfg`` may; for 'start'.

    Raises:
        ValueError: the weights do not serve the purpose.
    """
    weights = content.get('state_dict', content) if isinstance(content, dict) else {}
    weights = {k.removeprefix('module.'): v for k, v in weights.items() if isinstance(v, Tensor)}
    own = model.state_dict()
    if plain := plain_student_keys(model, weights):
        if purpose != 'start':
            cure = dict(
                resume='begin one from it, with --cfg-options load_from=PATH and without --resume',
                test="evaluate it with the student's own config",
            )
            raise ValueError(
                f'{name} does not fit the {type(model).__name__} of the config: it holds a plain '
                f'network, and the other weights are missing; {cure[purpose]}'
            )
        weights = {f'architecture.{key}': weights[key] for key in plain}
        own = {key: value for key, value in own.items() if key.startswith('architecture.')}
    fit = [
        key for key, value in own.items() if key in weights and weights[key].shape == value.shape
    ]
    if purpose == 'start':
        prefixes = {key.split('.')[0] + '.' for key in weights}
        for prefix in prefixes if may_have_prefix and not fit else ():
            fit = [k for k in own if prefix + k in weights]
            if fit:
                break
        problems = (
            [] if fit else ["none of its weights is one of the network's" + _part(model, weights)]
        )
    else:
        problems = [f'{key} is missing' for key in own if key not in weights]
        problems += [
            f'{key} is {tuple(weights[key].shape)}, {tuple(own[key].shape)} is needed'
            for key in own
            if key in weights and weights[key].shape != own[key].shape
        ]
        if purpose == 'resume':
            problems += [f"{key} is none of the model's" for key in weights if key not in own]
        problems = [p for p in problems if not _NOT_NEEDED.search(p.split(' ')[0])]
        if purpose == 'test':
            problems = [p for p in problems if not _NOT_EVALUATED.search(p)]
    if problems:
        more = f'; and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
        raise ValueError(
            f'{name} does not fit the {type(model).__name__} of the config: '
            + '; '.join(problems[:_SHOWN])
            + more
        )


def _part(model: nn.Module, weights: dict[str, Tensor]) -> str:
    """Words for weights that are those of a part of the network, e.g. of its backbone; else ''."""
    for name, part in model.named_modules():
        if not name or name.split('.')[0] == 'teacher' or not any(True for _ in part.children()):
            continue
        own = part.state_dict()
        if any(key in weights and weights[key].shape == own[key].shape for key in own):
            if name.split('.')[-1] == 'backbone':
                return f'; they are of its {name}: --cfg-options pretrained=PATH loads them there'
            return (
                f"; they are of its {name}: give that an init_cfg=dict(type='Pretrained', "
                'checkpoint=PATH) in the config'
            )
    return ''
