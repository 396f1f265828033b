"""The hooks that a run of ours has in any case."""

from mmengine import Config

from ...utils.config_settings import type_name

# As in configs/_base_/runtime.py, where they serve other tools than ours.
GUARDS = ('RecipeCheckHook', 'SafeCheckpointHook', 'ExactResumeHook', 'FiniteLossHook')


def add_run_guards(cfg: Config) -> None:
    """Add those hooks that a config does not name itself, in place."""
    own = list(cfg.get('custom_hooks') or [])
    named = {_name(hook) for hook in [*own, *(cfg.get('default_hooks') or {}).values()]}
    missing = [dict(type=f'mmrazor.{guard}') for guard in GUARDS if guard not in named]
    cfg.custom_hooks = [*own, *missing]


def drop_guard(cfg: Config, guard: str) -> None:
    """Leave out one of the hooks, in place; after :func:`add_run_guards`."""
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if _name(hook) != guard]
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook and _name(hook) == guard]:
        del hooks[name]


def _name(hook) -> str:
    """Of a hook's type: a name with or without a scope, a class, or an object."""
    return type_name(hook.get('type') if isinstance(hook, dict) else type(hook))
