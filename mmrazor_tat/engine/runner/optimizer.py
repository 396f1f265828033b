"""The optimizer of a distillation: the student's as in its plain training, and the distiller's."""

import copy
import functools
from typing import Any

from mmengine import Config, ConfigDict
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, build_optim_wrapper
from mmengine.runner import runner as runner_module
from torch import nn

from ...models.algorithms import FrozenTeacherDistill
from ...utils.config_settings import type_name

_AMP = 'AmpOptimWrapper'
_ARCHITECTURE = 'architecture'
_PARTS = {'distiller', 'teacher', 'distill_losses', 'connectors'}


def use_amp(cfg: Config) -> None:
    """Turn a config's ``optim_wrapper`` into mmengine's ``AmpOptimWrapper``, in place, with a
    dynamic loss scale where it names none; ValueError where it is of another type than
    ``OptimWrapper``."""
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', _AMP) or not wrapper:
        found = repr(kind) if wrapper else 'missing'
        raise ValueError(
            f"--amp turns an optim_wrapper of type 'OptimWrapper' into an {_AMP!r}; here it is "
            f'{found}'
        )
    wrapper.type = _AMP
    wrapper.setdefault('loss_scale', 'dynamic')


def plain_custom_keys(optim_wrapper: dict, distiller: dict) -> list[str]:
    """Rewrite ``paramwise_cfg.custom_keys``, in place: the student's parameters by its own names.

    Gives what was left out, in words: keys of the distiller, whose losses and connectors may be
    named.
    """
    settings = optim_wrapper.get('paramwise_cfg') or {}
    keys = settings.get('custom_keys')
    if not keys:
        return []
    parts = _parts(distiller)
    plain, left_out = {}, []
    for key, value in keys.items():
        if parts & set(key.split('.')):
            left_out.append(f'optim_wrapper.paramwise_cfg.custom_keys[{key!r}]')
        elif key in (_ARCHITECTURE, f'{_ARCHITECTURE}.'):
            plain[''] = value  # in every name: mmengine looks for the key within it
        else:
            plain[key.removeprefix(f'{_ARCHITECTURE}.')] = value
    settings['custom_keys'] = plain
    if not plain:
        del settings['custom_keys']
    if not settings:
        del optim_wrapper['paramwise_cfg']
    return left_out


def _parts(distiller: dict) -> set[str]:
    """What a key names that is not the student's."""
    return _PARTS.union(*(distiller.get(key) or () for key in ('distill_losses', 'connectors')))


def build_by_student(build, model: nn.Module, cfg: Any) -> Any:
    """mmengine's ``build_optim_wrapper`` (``build``), for a distillation by the student's own
    names.

    The constructor of the config (layer-wise decay knows ``model.backbone`` and names that begin
    with 'backbone.') and its ``paramwise_cfg`` see the student as in its plain training. The
    distiller's parameters have the optimizer's own learning rate and weight decay, unless a
    ``custom_keys`` names a part of the distiller. Any other model is left to ``build``.
    """
    algorithm = model.module if is_model_wrapper(model) else model
    if not isinstance(algorithm, FrozenTeacherDistill):
        return build(model, cfg)
    distiller, of_student = algorithm.distiller, copy.deepcopy(cfg)
    parts = dict(distill_losses=distiller.distill_losses, connectors=distiller.connectors)
    plain_custom_keys(of_student, parts)
    wrapper = build(algorithm.student, of_student)
    if not isinstance(wrapper, OptimWrapper):
        return build(model, cfg)  # several optimizers, by a constructor that knows the algorithm
    keys = (cfg.get('paramwise_cfg') or {}).get('custom_keys') or {}
    own = {key: value for key, value in keys.items() if _parts(parts) & set(key.split('.'))}
    groups: list[dict] = [dict(params=[p for p in distiller.parameters() if p.requires_grad])]
    if own:
        groups = []
        DefaultOptimWrapperConstructor(
            dict(optimizer=copy.deepcopy(cfg['optimizer'])),
            dict(custom_keys=own, bypass_duplicate=True),
        ).add_params(groups, distiller, prefix='distiller')
    names = {id(p): f'distiller.{name}' for name, p in distiller.named_parameters()}
    optimizer = wrapper.optimizer
    for group in groups:
        if 'param_names' in optimizer.param_groups[0]:  # then torch wants them in every group
            group['param_names'] = [names[id(p)] for p in group['params']]
        if group['params']:
            optimizer.add_param_group(group)
    return wrapper


def learning_rates(model: nn.Module, cfg: dict) -> dict[int, float]:
    """Those that an optimizer begins with, by the id() of a parameter; none where it cannot be
    built here.

    Args:
        model: a distillation.
        cfg: of its ``optim_wrapper``.
    """
    parts = {k: cfg[k] for k in ('optimizer', 'paramwise_cfg', 'constructor') if k in cfg}
    try:
        of = copy.deepcopy(ConfigDict(parts, type='OptimWrapper'))
        groups = build_by_student(build_optim_wrapper, model, of).param_groups
        return {id(p): group['lr'] for group in groups for p in group['params']}
    except Exception:  # e.g. one that wants several processes
        return {}


def teach_runner() -> None:
    """Let mmengine's Runner, whichever tool starts it, build the optimizer of a distillation so."""
    original = runner_module.build_optim_wrapper
    if not isinstance(original, functools.partial):
        runner_module.build_optim_wrapper = functools.partial(build_by_student, original)
