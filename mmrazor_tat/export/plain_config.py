"""A recipe's config without its distillation: what mmseg alone can train, test and deploy."""

import copy
import re
from typing import Any, Optional

from mmengine import Config, ConfigDict
from mmengine import registry as registries
from mmengine.registry import Registry

from ..engine.runner.optimizer import plain_custom_keys
from ..utils.networks import pipeline_of

# What an environment without distillation lacks.
_OURS = ('mmrazor', 'mmrazor_tat')
# What the Runner and mmseg's tools read. Any other key at the top is a variable of the config.
_READ = (
    *('train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg'),
    *('val_evaluator', 'test_evaluator', 'tta_model', 'tta_pipeline', 'optim_wrapper'),
    *('param_scheduler', 'auto_scale_lr', 'env_cfg', 'log_processor', 'log_level', 'visualizer'),
    *('randomness', 'model_wrapper_cfg'),
)


def plain_config(cfg: Config) -> tuple[Config, list[str]]:
    """The config of a recipe's student alone, complete; of a plain network its own.

    Data, schedule, evaluation and runtime stay. The network starts from random weights: no
    ``pretrained``, ``load_from`` or 'Pretrained' ``init_cfg`` is left. ``test_pipeline``, which
    mmseg's ``inference_model`` reads, is that of the test data. Variables of the config are left
    out: they are written where they are used.

    Args:
        cfg: of a distillation recipe or of a plain network; not changed.

    Returns:
        The config, and what was left out, in words.

    Raises:
        ValueError: the config has no model, or a part that is needed is of mmrazor or mmrazor_tat.
    """
    settings = cfg.to_dict()
    model = settings.get('model')
    if not model:
        raise ValueError(f'config {cfg.filename!r} has no model')
    network = model.get('architecture', model)
    if network.get('cfg_path') and not network.get('type'):
        raise ValueError(
            f'model.architecture names another config ({network["cfg_path"]!r}): write its '
            'model there instead'
        )
    scope = settings.get('default_scope') or 'mmseg'
    scope = 'mmseg' if scope == 'mmrazor' else scope
    part = _Parts(scope)
    plain: dict[str, Any] = dict(default_scope=scope)
    imports = settings.get('custom_imports') or {}
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else names
    if kept := [name for name in names if name.split('.')[0] not in _OURS]:
        plain['custom_imports'] = {**imports, 'imports': kept}
    where = 'model.architecture' if 'architecture' in model else 'model'
    plain['model'] = _untrained(part.plain(network, where))
    # init_model builds the model alone: where it has none the Runner or the recipe gives it.
    for owner in (model, settings):
        if not plain['model'].get('data_preprocessor') and owner.get('data_preprocessor'):
            own = part.plain(owner['data_preprocessor'], 'data_preprocessor')
            plain['model']['data_preprocessor'] = own
    plain['default_hooks'] = part.hooks(settings.get('default_hooks') or {}, 'default_hooks.{}')
    listed = dict(enumerate(settings.get('custom_hooks') or []))
    if listed := part.hooks(listed, 'custom_hooks[{}]'):
        plain['custom_hooks'] = list(listed.values())
    plain.update({key: part.plain(settings[key], key) for key in _READ if key in settings})
    if plain.get('optim_wrapper'):
        distiller = model.get('distiller') or {}
        part.left_out += plain_custom_keys(plain['optim_wrapper'], distiller)
    plain.update(load_from=None, resume=False)
    if plain.get('test_dataloader'):
        plain['test_pipeline'] = copy.deepcopy(pipeline_of(ConfigDict(plain)))
    return Config(plain), part.left_out


class _Parts:
    """Copies parts of a config without mmrazor's scope, the one in which types are looked up."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self.left_out: list[str] = []

    def hooks(self, hooks: dict, where: str) -> dict:
        """Those that are not of a distillation, by the same keys."""
        plain = {}
        for key, hook in hooks.items():
            is_set = isinstance(hook, dict)
            if is_set and is_ours(hook.get('type'), hook.get('_scope_')):
                self.left_out.append(f'{where.format(key)} ({hook["type"]})')
            else:
                plain[key] = self.plain(hook, where.format(key))
        return plain

    def plain(self, node: Any, path: str, scope: Optional[str] = None) -> Any:
        """Raises ValueError for a type of mmrazor or mmrazor_tat: it is needed."""
        if isinstance(node, (list, tuple)):
            return type(node)(self.plain(v, f'{path}[{i}]', scope) for i, v in enumerate(node))
        if isinstance(node, str) and re.search(r'\.(save_best|monitor)(\[\d+\])?$', path):
            return node.removeprefix('student/')  # as a plain validation names it
        if not isinstance(node, dict):
            return node
        scope, plain = node.get('_scope_') or scope, {}
        for key, value in node.items():
            here = f'{path}.{key}'
            if key in ('type', 'constructor') and isinstance(value, str):
                if is_ours(value, scope):
                    raise ValueError(
                        f'{here} = {value!r} is needed, and is of mmrazor or mmrazor_tat, which '
                        f'{self._scope} alone lacks: choose a part of {self._scope} or '
                        'mmengine, in the recipe or with --cfg-options'
                    )
                plain[key] = value.removeprefix('mmrazor.')
            elif not (key == '_scope_' and value == 'mmrazor'):
                plain[key] = self.plain(value, here, scope)
        return plain


def is_ours(kind: Any, scope: Optional[str] = None) -> bool:
    """Whether a ``type`` can be built only where mmrazor or mmrazor_tat is installed; ``scope``: in
    which it is looked up, where that is not the config's own."""
    if not isinstance(kind, str):
        return False
    name, roots = kind.split('.')[-1], vars(registries).values()
    roots = [root for root in roots if isinstance(root, Registry)]
    nodes = [node for root in roots for node in (root, *root.children.values())]
    found = [(node.module_dict[name], node.scope) for node in nodes if name in node.module_dict]
    of = [(getattr(cls, '__module__', '').split('.')[0], registered) for cls, registered in found]
    if any(package not in _OURS and registered not in _OURS for package, registered in of):
        return False
    return bool(found) or scope in _OURS or kind.split('.')[0] in _OURS


def _untrained(node: Any) -> Any:
    """A network's config without any weights to start from."""
    if isinstance(node, (list, tuple)):
        return type(node)(_untrained(item) for item in node)
    if not isinstance(node, dict):
        return node
    plain = {key: _untrained(value) for key, value in node.items()}
    if 'pretrained' in plain:
        plain['pretrained'] = False if isinstance(plain['pretrained'], bool) else None
    rules = node.get('init_cfg') or []
    rules = list(rules) if isinstance(rules, (list, tuple)) else [rules]
    kept = [rule for rule in rules if rule.get('type') != 'Pretrained']
    if len(kept) < len(rules):
        plain.pop('init_cfg')
        plain.update(dict(init_cfg=kept) if kept else {})
    return plain
