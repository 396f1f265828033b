"""The hooks that a run of ours has in any case."""

from mmengine import Config

# As in configs/_base_/runtime.py, where they serve other tools than ours.
GUARDS = ('RecipeCheckHook', 'SafeCheckpointHook', 'ExactResumeHook', 'FiniteLossHook')


def add_run_guards(cfg: Config) -> None:
    """Add those hooks that a config does not name itself, in place."""
    named = {
        str((hook or {}).get('type')).split('.')[-1]
        for hook in [*cfg.get('custom_hooks', []), *cfg.get('default_hooks', {}).values()]
    }
    missing = [dict(type=f'mmrazor.{guard}') for guard in GUARDS if guard not in named]
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), *missing]


def drop_guard(cfg: Config, guard: str) -> None:
    """Leave out one of the hooks, in place; after :func:`add_run_guards`."""
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks if str(hook['type']).split('.')[-1] != guard
    ]
