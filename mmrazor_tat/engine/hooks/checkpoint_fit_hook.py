"""A checkpoint that is loaded as it was meant, or no run."""

import re
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import BaseLoop
from mmrazor.registry import HOOKS
from torch import Tensor, nn

from ...models.checkpoint_file import read_checkpoint
from ..evaluation import bare_model
from ..run_config_check import pretrained_files

_SHOWN = 3
# Our algorithm puts its own teacher back, and names it; counters are never read in evaluation.
_NOT_NEEDED = re.compile(r'^teacher\.|^teacher_identity$|(^|\.)num_batches_tracked$')


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuse a checkpoint that mmengine would load in part, with a warning, and go on.

    * A test needs every weight of the model; more in the file is left out.
    * A run that is resumed needs every weight, and the file no others.
    * A training that begins from a checkpoint (``load_from``), or a part of its network that does
      (``init_cfg`` of type 'Pretrained', ``pretrained``), needs one weight that fits: another head
      for other classes is common.

    Raises:
        FileNotFoundError, ValueError: what does not fit, before anything is loaded.
    """

    priority = 'LOWEST'  # other hooks may exchange the weights that are loaded

    def before_run(self, runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return  # a test reads no weights to start from
        model = bare_model(runner)
        for key, path in pretrained_files(runner.cfg.model):
            content = read_checkpoint(path, key)
            module = model
            # model.backbone.init_cfg.checkpoint, model.pretrained: of the backbone
            for name in key.removesuffix('.init_cfg.checkpoint').split('.')[1:]:
                module = module.backbone if name == 'pretrained' else getattr(module, name)
            _check_fit(module, content, 'start', f'{key} {path!r}')

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        model = bare_model(runner)
        model = model.module if isinstance(model, BaseTTAModel) else model
        purpose = 'start'
        if not isinstance(runner._train_loop, BaseLoop):
            purpose = 'test'
        elif runner._resume:
            purpose = 'resume'
        name = f'checkpoint {runner._load_from!r}' if runner._load_from else 'the last checkpoint'
        _check_fit(model, checkpoint, purpose, name)


def _check_fit(model: nn.Module, content: Any, purpose: str, name: str) -> None:
    """Raise ValueError unless the weights of a file serve the purpose."""
    weights = content.get('state_dict', content) if isinstance(content, dict) else {}
    weights = {k.removeprefix('module.'): v for k, v in weights.items() if isinstance(v, Tensor)}
    own = model.state_dict()
    fit = [
        key for key, value in own.items() if key in weights and weights[key].shape == value.shape
    ]
    if purpose == 'start':
        prefixes = {key.split('.')[0] + '.' for key in weights}  # init_cfg may have one
        for prefix in prefixes if not fit else ():
            fit = [k for k in own if prefix + k in weights]
            if fit:
                break
        problems = [] if fit else ["none of its weights is one of the network's"]
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
    if problems:
        more = f'; and {len(problems) - _SHOWN} more' if len(problems) > _SHOWN else ''
        raise ValueError(
            f'{name} does not fit the {type(model).__name__} of the config: '
            + '; '.join(problems[:_SHOWN])
            + more
        )
