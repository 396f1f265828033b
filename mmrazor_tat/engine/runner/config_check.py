"""Settings of a run that the packages below us would take without a word, or misread."""

import math
import os
from pathlib import Path
from typing import Any, Optional

from mmengine import Config
from mmengine.registry import MODELS

from ...compat.checkpoint_file import read_checkpoint
from ...utils.config_settings import dicts_of, type_name
from ...utils.error_text import is_installed

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# What a launcher sets; mmengine reads them without saying who is missing.
_ENVIRONMENT = {
    'pytorch': (('RANK', 'WORLD_SIZE'), 'torchrun --nproc_per_node=N tools/train.py ...'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS'), 'srun'),
    'mpi': (('OMPI_COMM_WORLD_LOCAL_RANK',), 'mpirun'),
}


def check_run_config(cfg: Config) -> None:
    """Raise ValueError or FileNotFoundError for what cannot be trained or evaluated, by its key.

    Whole numbers above 0 (iterations, batches, intervals), finite numbers of at least 0 (learning
    rate, weight decay, weights of losses), a model, a work dir that can be written, a launcher
    that has started this process, checkpoints that can be read and hold safe content. Types and
    names are found out when the config is built.
    """
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            f"{cfg.filename!r}: a dict 'model' with the network is needed, got {cfg.get('model')!r}"
        )
    _check_counts(cfg)
    _check_optimizer(cfg.get('optim_wrapper'))
    check_loss_weights(cfg.model)
    pretrained_files(cfg.model)
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        _check_count('randomness.seed', seed, least=0)
    scope = cfg.get('default_scope')
    is_known = isinstance(scope, str) and (is_installed(scope) or MODELS._search_child(scope))
    if scope is not None and not is_known:
        raise ValueError(f'default_scope {scope!r} is no package that is installed')
    _check_launcher(cfg.get('launcher', 'none'))
    check_writable(cfg.get('work_dir'), 'work_dir (--work-dir)')
    for key in ('default_hooks', 'custom_hooks'):
        for path, hook in dicts_of(cfg.get(key) or {}, key):
            folder = hook.get('out_dir')
            if isinstance(folder, str) and '://' not in folder and not hook.get('backend_args'):
                check_writable(folder, f'{path}.out_dir')
    _check_checkpoints(cfg)


def check_loss_weights(model: dict) -> None:
    """Raise ValueError for a ``loss_weight`` (alpha, beta, epsilon) or a ``tau`` out of range."""
    for path, node in dicts_of(model, 'model'):
        if path.startswith('model.teacher.'):
            continue  # its losses are never computed
        if 'loss_weight' in node and not _is_own(node.get('type')):
            _check_number(f'{path}.loss_weight', node['loss_weight'])
        if '.distill_losses.' in path and 'tau' in node:
            _check_number(f'{path}.tau', node['tau'], positive=True)


def _is_own(kind: Any) -> bool:
    """Whether a type is of none of the packages below us: its arguments are its own business."""
    name = type_name(kind)
    registries = (MODELS, *MODELS.children.values())
    found = [of.module_dict[name] for of in registries if name in of.module_dict]
    known = ('mmengine', 'mmseg', 'mmpretrain', 'mmrazor', 'mmrazor_tat', 'mmdet')
    return bool(found) and all(of.__module__.split('.')[0] not in known for of in found)


def check_writable(folder: Any, name: str) -> None:
    """Raise ValueError unless a folder can be made or written to; nothing is made."""
    if not isinstance(folder, (str, os.PathLike)) or not str(folder):
        raise ValueError(f'{name} must be the path of a folder, got {folder!r}')
    path = Path(folder).absolute()
    existing = next(p for p in (path, *path.parents) if p.exists())
    if not existing.is_dir():
        raise ValueError(f'{name} is {str(folder)!r}, but {str(existing)!r} is a file')
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(
            f'{name} is {str(folder)!r}, but there is no permission to write to {str(existing)!r}'
        )


def _check_counts(cfg: Config) -> None:
    train = cfg.get('train_cfg') or {}
    for key in ('max_iters', 'max_epochs', 'val_interval', 'val_begin'):
        if train.get(key) is not None:
            # val_interval may be beyond the end: 10**9 is "never".
            _check_count(f'train_cfg.{key}', train[key], least=int(key != 'val_begin'))
    for name in _LOADERS:
        loader = cfg.get(name)
        if loader is None:
            continue
        if not isinstance(loader, dict):
            raise ValueError(f'{name} must be a dict, got {loader!r}')
        if 'batch_size' in loader:
            _check_count(f'{name}.batch_size', loader['batch_size'])
        if 'num_workers' in loader:
            _check_count(f'{name}.num_workers', loader['num_workers'], least=0)
        if loader.get('persistent_workers') and loader.get('num_workers') == 0:
            raise ValueError(
                f'{name}.persistent_workers=True needs workers, and {name}.num_workers is 0: set '
                f'{name}.persistent_workers=False'
            )
    hooks = cfg.get('default_hooks') or {}
    for name in ('checkpoint', 'logger'):
        interval = (hooks.get(name) or {}).get('interval')
        if interval is not None and not (name == 'checkpoint' and interval == -1):  # never
            _check_count(f'default_hooks.{name}.interval', interval)


def _check_optimizer(wrapper: Optional[dict]) -> None:
    if wrapper is None:
        return
    if not isinstance(wrapper, dict):
        raise ValueError(f'optim_wrapper must be a dict, got {wrapper!r}')
    optimizer = wrapper.get('optimizer')
    if optimizer is not None and not isinstance(optimizer, dict):
        raise ValueError(f'optim_wrapper.optimizer must be a dict, got {optimizer!r}')
    for key in ('lr', 'weight_decay', 'momentum', 'eps'):
        if not isinstance((optimizer or {}).get(key), (type(None), list, tuple)):
            _check_number(f'optim_wrapper.optimizer.{key}', optimizer[key])
    if 'accumulative_counts' in wrapper:
        _check_count('optim_wrapper.accumulative_counts', wrapper['accumulative_counts'])


def _check_launcher(launcher: str) -> None:
    names, how = _ENVIRONMENT.get(launcher, ((), ''))
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ValueError(
            f'--launcher {launcher}: the environment has no {" and no ".join(missing)}; start '
            f'with {how}, or leave --launcher out for a single process'
        )


def _check_checkpoints(cfg: Config) -> None:
    """The one that the run loads; those of networks are read once the model is there."""
    source = cfg.get('load_from')
    if source is not None:
        name = '--resume' if cfg.get('resume') else 'checkpoint (load_from)'
        if not isinstance(source, str) or not source:
            raise ValueError(f'{name} must be the path of a checkpoint, got {source!r}')
        content = read_checkpoint(source, name)
        weights = content.get('state_dict', content) if isinstance(content, dict) else None
        if not isinstance(weights, dict) or not weights:
            raise ValueError(f'{name} {source!r} holds no weights')
        if cfg.get('resume') and not _is_of_training(content):
            raise ValueError(
                f'--resume {source!r} holds weights, but not the state of a training (iteration, '
                f'optimizer): begin one from it with --cfg-options load_from={source}'
            )


def _is_of_training(content: dict) -> bool:
    meta = content.get('meta')
    return isinstance(meta, dict) and {'iter', 'epoch'} <= set(meta) and 'optimizer' in content


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
    for key, value in found:
        if not isinstance(value, str) or not value:
            raise ValueError(f'{key} must be None or the path of a checkpoint, got {value!r}')
    return [(key, value) for key, value in found if '://' not in value]


def ignored_ids(parts: dict) -> set[int]:
    """The ``ignore_index`` of any part of a network or an evaluator."""
    found = (node.get('ignore_index') for _, node in dicts_of(parts))
    return {value for value in found if isinstance(value, int)}


def _check_count(name: str, value: Any, least: int = 1) -> None:
    is_whole = isinstance(value, float) and value.is_integer() and value >= least
    if is_whole and '_dataloader.' not in name:  # 4e4 iterations: mmengine takes them
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f'{name} must be a whole number of at least {least}, got {value!r}')


def _check_number(name: str, value: Any, positive: bool = False) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (positive and value == 0):
        least = 'above 0' if positive else 'of at least 0'
        raise ValueError(f'{name} must be a finite number {least}, got {value!r}')
