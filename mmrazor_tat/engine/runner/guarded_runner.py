"""mmengine's Runner, which looks at its input before it works, and the hooks that it has."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, Optional, Union

from mmengine import Config
from mmengine.dist import get_rank
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from torch.cuda import OutOfMemoryError
from torch.utils.data import DataLoader

from ...utils.config_settings import dicts_of, type_name
from ...utils.errors import UserError, naming, said
from ..hooks.checkpoint_fit_hook import CheckpointFitHook
from .dataset_guard import guard_dataset, leaves, no_images, own_ignored
from .evaluation import trained_network
from .label_ids import ignored_ids, refused_ids

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# What mmengine divides by, or never comes to, without a word.
_COUNTS = ('max_iters', 'max_epochs', 'val_interval')
# Which key each method of the Runner builds.
_KEYS = dict(
    build_evaluator='evaluator',
    build_log_processor='log_processor',
    build_model='model',
    build_param_scheduler='param_scheduler',
    build_test_loop='test_cfg',
    build_train_loop='train_cfg',
    build_val_loop='val_cfg',
    build_visualizer='visualizer',
    register_custom_hooks='custom_hooks',
    register_default_hooks='default_hooks',
    set_randomness='randomness',
)


def _naming(method: Callable, key: str) -> Callable:
    """Let what a method raises begin with the config's name and the key."""

    @functools.wraps(method)
    def named(self, *args, **kwargs) -> Any:
        with naming(f'{self.config_name}, {key}', dicts_of(self.cfg)):
            return method(self, *args, **kwargs)

    return named


class GuardedRunner(Runner):
    """A ``Runner`` for the tools, with the checks of its config, its data and what it loads.

    See ``guard_dataset`` and ``CheckpointFitHook``. What it trains, and every number of it, is as
    with mmengine's. Whatever is wrong before the first iteration is a UserError (FileNotFoundError
    for a file) with the config's name and the key where that is known; so is an image or a label
    later.
    """

    config_name = 'the config'

    def __init__(self, *args, **kwargs) -> None:
        self.has_begun = False  # the first iteration of a training or an evaluation
        cfg = kwargs.get('cfg')
        if cfg is not None and cfg.filename:
            self.config_name = Path(cfg.filename).name
        with naming(self.config_name):
            if cfg is not None:
                _check_settings(cfg)
            super().__init__(*args, **kwargs)

    def train(self) -> Any:
        with naming(f'{self.config_name}, default_hooks', dicts_of(self.cfg)):
            for hook in self.hooks:  # it takes any option, and fails with the first checkpoint
                try:
                    if type(hook) is CheckpointHook:
                        signature(self.save_checkpoint).bind_partial(**hook.args)
                except TypeError as error:
                    raise TypeError(f'CheckpointHook.__init__() {error}') from None
        with self._naming_until_begun():
            return super().train()

    def val(self) -> dict:
        with self._naming_until_begun():
            return super().val()

    def test(self) -> dict:
        with self._naming_until_begun():
            return super().test()

    def call_hook(self, fn_name: str, **kwargs) -> None:
        if fn_name in ('before_train_iter', 'before_val_iter', 'before_test_iter'):
            self.has_begun = True
        super().call_hook(fn_name, **kwargs)

    @contextlib.contextmanager
    def _naming_until_begun(self) -> Iterator[None]:
        try:
            yield
        except (UserError, OSError, OutOfMemoryError):
            raise
        except Exception as error:
            if self.has_begun:
                raise  # a bug
            where = '' if isinstance(error, ValueError) else f'{self.config_name}: '
            raise UserError(where + said(error)) from error

    def register_hooks(self, *args, **kwargs) -> None:
        super().register_hooks(*args, **kwargs)
        self.register_hook(CheckpointFitHook())

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        given = optim_wrapper.get('optimizer') if isinstance(optim_wrapper, dict) else optim_wrapper
        with naming(f'{self.config_name}, optim_wrapper with the optimizer {given}'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_dataloader(
        self,
        dataloader: Union[DataLoader, dict],
        seed: Optional[int] = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader:
        keys = (key for key in _LOADERS if dataloader is getattr(self, f'_{key}', None))
        with naming(f'{self.config_name}, {next(keys, "a data loader")}', dicts_of(self.cfg)):
            try:
                loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
            except (AssertionError, ValueError) as error:
                if 'Failed to load `ann_file`' in str(error):  # mmseg's
                    roots = {of.get('data_root') for _, of in dicts_of(dataloader)} - {None}
                    raise ValueError(f'{error} (data_root: {", ".join(roots)})') from error
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


for _method, _key in _KEYS.items():
    setattr(GuardedRunner, _method, _naming(getattr(Runner, _method), _key))


def _check_settings(cfg: Config) -> None:
    """What mmengine would take without a word, or end with obscure ones."""
    train = cfg.get('train_cfg') or {}
    for key in _COUNTS if isinstance(train, dict) else ():
        if isinstance(train.get(key), (int, float)) and train[key] < 1:
            raise UserError(f'train_cfg.{key} must be at least 1, got {train[key]!r}')
    if not cfg.get('work_dir'):
        raise UserError(f'work_dir (--work-dir) must name a folder, got {cfg.get("work_dir")!r}')
    for key in ('default_hooks', 'custom_hooks'):
        for path, hook in dicts_of(cfg.get(key) or {}, key):
            if path.count('.') == 1 and 'type' not in hook:
                raise UserError(f'{path} must have a type, got {hook!r}')
            folder = hook.get('out_dir')
            if isinstance(folder, str) and '://' not in folder and not hook.get('backend_args'):
                try:  # else it fails with the first checkpoint
                    os.makedirs(folder, exist_ok=True)
                except OSError as error:
                    raise UserError(f'{path}.out_dir: {error}') from error


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


def leave_out_checks(cfg: Config) -> None:
    """Those that the hooks make of classes, labels and what is resumed, in place."""
    drop_guard(cfg, 'RecipeCheckHook')
    for hook in [*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and _name(hook) == 'SafeCheckpointHook':
            hook['check'] = False


def _name(hook) -> str:
    """Of a hook's type: a name with or without a scope, a class, or an object."""
    return type_name(hook.get('type') if isinstance(hook, dict) else type(hook))
