"""A recipe's config without its distillation: what mmseg alone can train, test and deploy."""

import copy
from typing import Any, Optional, Union

from mmengine import Config, ConfigDict

from ..engine.runner.optimizer import plain_custom_keys
from ..utils.networks import pipeline_of
from .origin import check_no_leftovers, is_of_mmrazor, leftovers, name_elsewhere


class MetricNames:
    """What ``save_best`` and ``monitor`` may name in a plain config."""

    def __init__(self) -> None:
        self._gone = {'teacher'}

    def drop_hook(self, hook: dict) -> None:
        """Take note of a hook that is left out: the metrics under its prefix are not there."""
        if hook.get('prefix'):
            self._gone.add(str(hook['prefix']))

    def plain(self, name: Union[str, list, None], where: str) -> Union[str, list, None]:
        """The same metric under the name that a plain validation gives it.

        Args:
            name: a metric, or several.
            where: it stands, for the error.

        Raises:
            ValueError: a plain validation has no such metric.
        """
        if isinstance(name, (list, tuple)):
            return [self.plain(item, where) for item in name]
        if not isinstance(name, str) or '/' not in name:
            return name
        prefix, metric = name.split('/', 1)
        if prefix == 'student':  # what the teacher's evaluation calls the plain one
            return metric
        if prefix in self._gone:
            raise ValueError(
                f'{where} = {name!r}: a plain validation has no such metric, as the hook that '
                f'gives it is of mmrazor_tat; choose another (--cfg-options {where}={metric})'
            )
        return name


# What the Runner and mmseg's tools cannot do without. Any other key at the top is a variable of the
# config, or is missed by nobody who trains and tests (tta_model, model_wrapper_cfg).
_READ = (
    *('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader', 'test_dataloader'),
    *('train_cfg', 'val_cfg', 'test_cfg', 'val_evaluator', 'test_evaluator', 'test_pipeline'),
    *('optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'default_hooks', 'custom_hooks'),
    *('env_cfg', 'log_processor', 'log_level', 'visualizer', 'randomness'),
    *('default_scope', 'custom_imports'),
)
_DONE_APART = ('model', 'custom_imports', 'custom_hooks', 'default_hooks', 'default_scope')
_OF_THIS_RUN = ('work_dir', 'launcher', 'experiment_name', 'load_from', 'resume')


def plain_config(cfg: Config) -> tuple[Config, list[str]]:
    """The config of a recipe's student alone, complete; of a plain network its own.

    Data, schedule, evaluation and runtime stay. The network starts from random weights: no
    ``pretrained``, ``load_from`` or 'Pretrained' ``init_cfg`` is left. ``test_pipeline``, which
    mmseg's ``inference_model`` reads, is that of the test data.

    Args:
        cfg: of a distillation recipe or of a plain network; not changed.

    Returns:
        The config, and what was left out, in words.

    Raises:
        ValueError: the config has no model; a part that is needed is of mmrazor or mmrazor_tat;
            something that speaks of the distillation is left.
    """
    settings = cfg.to_dict()
    if not settings.get('model'):
        raise ValueError(f'config {cfg.filename!r} has no model')
    cleaner = _Cleaner(settings)
    settings = cleaner.clean()
    check_no_leftovers(settings)
    return Config(settings), cleaner.left_out


class _Cleaner:
    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.scope = settings.get('default_scope') or 'mmseg'
        self.plain_scope = 'mmseg' if self.scope == 'mmrazor' else self.scope
        self.left_out: list[str] = []
        self.metrics = MetricNames()

    def clean(self) -> dict:
        settings = self.settings
        for key in _OF_THIS_RUN:
            settings.pop(key, None)
        distiller = settings['model'].get('distiller') or {}
        settings['model'] = self._network()
        settings['default_scope'] = self.plain_scope
        self._imports()
        self._hooks()
        for key in list(settings):
            if key not in _READ:
                self._variable(key)
            elif key not in _DONE_APART:
                settings[key] = self._part(settings[key], key)
        if settings.get('optim_wrapper'):
            self.left_out += plain_custom_keys(settings['optim_wrapper'], distiller)
        settings.update(load_from=None, resume=False)
        if settings.get('test_dataloader'):
            # A recipe may have changed the one, and not the variable that it was written from.
            settings['test_pipeline'] = copy.deepcopy(pipeline_of(ConfigDict(settings)))
        return settings

    def _network(self) -> dict:
        model = self.settings['model']
        network = model.get('architecture', model)
        if network.get('cfg_path') and not network.get('type'):
            raise ValueError(
                f'model.architecture names another config ({network["cfg_path"]!r}): write its '
                'model there instead'
            )
        where = 'model.architecture' if 'architecture' in model else 'model'
        network = _untrained(self._part(network, where))
        # init_model builds the model alone: where it has none the Runner or the recipe gives it.
        for owner in (model, self.settings):
            if not network.get('data_preprocessor') and owner.get('data_preprocessor'):
                network['data_preprocessor'] = self._part(
                    owner['data_preprocessor'], 'data_preprocessor'
                )
        return network

    def _imports(self) -> None:
        imports = self.settings.pop('custom_imports', None) or {}
        names = imports.get('imports') or []
        names = [names] if isinstance(names, str) else names
        kept = [name for name in names if name.split('.')[0] not in ('mmrazor', 'mmrazor_tat')]
        if kept:
            self.settings['custom_imports'] = {**imports, 'imports': kept}

    def _hooks(self) -> None:
        settings = self.settings
        named = dict(settings.get('default_hooks') or {})
        listed = list(settings.get('custom_hooks') or [])
        # First all that go: the metrics that they give go with them.
        named = {k: v for k, v in named.items() if self._stays(v, f'default_hooks.{k}')}
        listed = {f'custom_hooks[{i}]': v for i, v in enumerate(listed)}
        listed = {where: v for where, v in listed.items() if self._stays(v, where)}
        if 'default_hooks' in settings:
            settings['default_hooks'] = {
                k: self._part(v, f'default_hooks.{k}') for k, v in named.items()
            }
        settings.pop('custom_hooks', None)
        if listed:
            settings['custom_hooks'] = [self._part(v, where) for where, v in listed.items()]

    def _stays(self, hook: Optional[dict], where: str) -> bool:
        if not isinstance(hook, dict) or 'type' not in hook:
            return True
        if not is_of_mmrazor(hook['type'], hook.get('_scope_') or self.scope):
            return True
        self.left_out.append(f'{where} ({hook["type"]})')
        self.metrics.drop_hook(hook)
        return False

    def _variable(self, key: str) -> None:
        """Leave it out where it is of the distillation: nothing reads it."""
        try:
            value = self._part(self.settings[key], key)
            if any(leftovers({key: value})):
                raise ValueError
        except ValueError:
            del self.settings[key]
            self.left_out.append(key)
        else:
            self.settings[key] = value

    def _part(self, node: Any, path: str, scope: Optional[str] = None) -> Any:
        """A copy of a part that is needed, without mmrazor's scope.

        Raises:
            ValueError: it is of mmrazor or mmrazor_tat.
        """
        if isinstance(node, (list, tuple)):
            return type(node)(self._part(v, f'{path}[{i}]', scope) for i, v in enumerate(node))
        if not isinstance(node, dict):
            return node
        scope = node.get('_scope_') or scope or self.scope
        plain = {}
        for key, value in node.items():
            here = f'{path}.{key}'
            if key in ('type', 'constructor') and isinstance(value, str):
                if is_of_mmrazor(value, scope):
                    raise ValueError(
                        f'{here} = {value!r} is needed, and is of mmrazor or mmrazor_tat, which '
                        f'{self.plain_scope} alone lacks: choose a part of {self.plain_scope} or '
                        'mmengine, in the recipe or with --cfg-options'
                    )
                if scope == 'mmrazor' or value.startswith('mmrazor.'):
                    value = name_elsewhere(value, scope, self.plain_scope)
            elif key in ('save_best', 'monitor'):
                value = self.metrics.plain(value, here)
            elif not (key == '_scope_' and value == 'mmrazor'):
                value = self._part(value, here, scope)
            if not (key == '_scope_' and value == 'mmrazor'):
                plain[key] = value
        return plain


def _untrained(node: Any) -> Any:
    """A network's config without any weights to start from."""
    if isinstance(node, (list, tuple)):
        return type(node)(_untrained(item) for item in node)
    if not isinstance(node, dict):
        return node
    plain = {}
    for key, value in node.items():
        if key == 'init_cfg' and value:
            rules = value if isinstance(value, (list, tuple)) else [value]
            if any(rule.get('type') == 'Pretrained' for rule in rules):
                rules = [rule for rule in rules if rule.get('type') != 'Pretrained']
                if not rules:
                    continue
                value = rules
        elif key == 'pretrained':
            value = False if isinstance(value, bool) else None
        else:
            value = _untrained(value)
        plain[key] = value
    return plain
