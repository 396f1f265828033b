"""mmengine's Runner, which looks at its input before it works, and the hooks that it has."""

from typing import Optional, Union

from mmengine import Config
from mmengine.dist import get_rank
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ...utils.config_settings import type_name
from ..hooks.checkpoint_fit_hook import CheckpointFitHook
from .config_check import check_run_config, ignored_ids
from .dataset_guard import guard_dataset, leaves, no_images, own_ignored
from .evaluation import trained_network
from .label_ids import refused_ids


class GuardedRunner(Runner):
    """A ``Runner`` for the tools, with the checks of its config, its data and what it loads.

    See ``check_run_config``, ``guard_dataset`` and ``CheckpointFitHook``. What it trains, and every
    number of it, is as with mmengine's.

    Raises:
        ValueError, FileNotFoundError: a setting, a data set or a checkpoint that cannot serve,
            before the first iteration.
        BadSampleError: while it runs, for an image or a label that cannot be used.
    """

    def __init__(self, *args, **kwargs) -> None:
        if kwargs.get('cfg') is not None:
            check_run_config(kwargs['cfg'])
        super().__init__(*args, **kwargs)

    def register_hooks(self, *args, **kwargs) -> None:
        super().register_hooks(*args, **kwargs)
        self.register_hook(CheckpointFitHook())

    def build_dataloader(
        self,
        dataloader: Union[DataLoader, dict],
        seed: Optional[int] = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader:
        try:
            loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        except ValueError as error:
            # mmengine's data sets join their samples, and a sampler wants some.
            if 'need at least one array' in str(error) or 'num_samples' in str(error):
                raise ValueError(no_images(dataloader['dataset'])) from error
            raise
        parts = ('model', 'val_evaluator', 'test_evaluator')
        ignored = ignored_ids({part: self.cfg.get(part) for part in parts})
        refused = {}
        if dataloader is self._train_dataloader:
            own = set().union(*map(own_ignored, leaves(loader.dataset)))
            count = len((getattr(loader.dataset, 'metainfo', None) or {}).get('classes') or ())
            refused = refused_ids(trained_network(self), sorted({*ignored, *own, count}))
        guard_dataset(loader.dataset, get_rank() == 0, ignored, refused)
        return loader


# As in configs/_base_/runtime.py, where they serve other tools than ours.
GUARDS = dict(
    recipe_check='RecipeCheckHook',
    safe_checkpoint='SafeCheckpointHook',
    exact_resume='ExactResumeHook',
    finite_loss='FiniteLossHook',
)


def add_guards(cfg: Config) -> None:
    """Add those hooks of ``GUARDS`` that a config does not name itself, in place."""
    hooks = cfg.setdefault('default_hooks', {}) or {}
    named = {_name(hook) for hook in [*hooks.values(), *(cfg.get('custom_hooks') or [])]}
    missing = {name: guard for name, guard in GUARDS.items() if guard not in named}
    cfg.default_hooks = {**hooks, **{k: dict(type=f'mmrazor.{v}') for k, v in missing.items()}}


def drop_guard(cfg: Config, guard: str) -> None:
    """Leave out one of the hooks, in place; after :func:`add_guards`."""
    cfg.default_hooks = {k: v for k, v in cfg.default_hooks.items() if _name(v) != guard}
    if cfg.get('custom_hooks'):
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks if _name(hook) != guard]


def _name(hook) -> str:
    """Of a hook's type: a name with or without a scope, a class, or an object."""
    return type_name(hook.get('type') if isinstance(hook, dict) else type(hook))
