"""What the training and the test tool share: OpenMMLab's arguments, applied to a config."""

import argparse
import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Optional

from mmengine import Config, DictAction, ProgressBar
from mmengine.runner import Runner

from .. import compat
from .config_file import MissingPackageError, config_errors, read_config_file
from .crop_size import set_crop_size
from .data_root import set_data_root
from .error_text import one_line
from .model_config import config_file
from .pretrained import set_pretrained
from .processes import check_processes

# Keys of a config that mmengine, the OpenMMLab tools or ours read, beside the Runner's arguments.
_KEYS = (
    'activation_checkpointing',
    'compile',
    'crop_size',
    'custom_imports',
    'data_root',
    'efficient_conv_bn_eval',
    'env_cfg',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'pretrained',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)
_PARTS = {'auto_scale_lr': ('enable', 'base_batch_size')}
_ITS_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """``--work-dir``, ``--cfg-options``, ``--launcher``, as in OpenMMLab's tools."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_cfg_options(
        parser,
        'settings that override the config, e.g. train_cfg.max_iters=100 '
        'optim_wrapper.optimizer.lr=0.02; crop_size="(256,256)" sets the crop everywhere, '
        'data_root=PATH the folder of all data sets, pretrained=None leaves ImageNet weights out',
    )
    parser.add_argument(
        '--no-checks',
        action='store_true',
        help='leave out the checks of settings, files, labels and weights, should one be wrong',
    )
    parser.add_argument(
        '--trust-checkpoints',
        action='store_true',
        help='run the code that checkpoints may hold besides weights: for files of your own only',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK itself.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_cfg_options(
    parser: argparse.ArgumentParser,
    text: str = 'settings that override the config, e.g. data_root=PATH model.teacher_ckpt=PATH',
) -> None:
    """``--cfg-options``, a dict of values by dotted key; see :func:`apply_options`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        default={},
        metavar='KEY=VALUE',
        help=text,
    )


class _Options(DictAction):
    """mmengine's, with an error of argparse for what is no KEY=VALUE."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, RecursionError) as error:  # mmengine reads lists and tuples, no calls
            bad = [value for value in values if '=' not in value] or values
            parser.error(f'{option_string}: KEY=VALUE is needed, got {bad[0]!r} ({error})')


@contextlib.contextmanager
def one_line_errors(
    tool: str, errors: tuple[type[Exception], ...] = (ValueError, OSError)
) -> Iterator[None]:
    """What a tool does: without the chatter of others, and with errors in one line.

    Args:
        tool: its name, which begins the line.
        errors: those that are the user's to mend.
    """
    compat.silence_harmless_warnings()
    try:
        yield
    except errors as error:
        raise SystemExit(f'{tool}: {one_line(str(error))}') from error


def read_config(name: str, options: dict) -> Config:
    """A config by path or ``PACKAGE::NAME``, with options as ``--cfg-options`` has them.

    Raises:
        FileNotFoundError, ValueError: it cannot be read, or an option does not fit; in one line.
    """
    path = config_file(name)
    with config_errors(name):
        cfg = read_config_file(path)
    apply_options(cfg, options)
    _drop_hooks(cfg)
    return cfg


def point(text: str) -> tuple[float, float]:
    """The type of an argument ``x,y`` in pixels."""
    try:
        x, y = map(float, text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no point x,y such as 120,80') from None
    return x, y


def progress_bar() -> Optional[Callable[[int, int], None]]:
    """A function of (done, total) that draws a bar on a terminal; None elsewhere, e.g. in a log."""
    if not sys.stderr.isatty():
        return None
    bars: list[ProgressBar] = []

    def report(done: int, total: int) -> None:
        if not bars:
            bars.append(ProgressBar(total, file=sys.stderr))
        bars[0].update(done - bars[0].completed)
        if done == total:
            print(file=sys.stderr)

    return report


def load_config(args: argparse.Namespace) -> Config:
    """The config named by ``args.config`` with the common arguments applied."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        cfg = read_config(args.config, args.cfg_options)
    except MissingPackageError as error:
        raise SystemExit(str(error)) from error
    if 'model' not in cfg:
        raise ValueError(f"config {args.config!r} has no 'model', which is needed")
    cfg.launcher = args.launcher
    check_processes(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def apply_options(cfg: Config, options: dict) -> None:
    """Override settings of a config, in place, as ``--cfg-options`` does.

    Args:
        cfg: the config.
        options: values by dotted key; ``crop_size``, ``data_root`` and ``pretrained`` are set
            wherever they stand.

    Raises:
        ValueError: a key that nothing would read, or a value that does not fit, see
            ``set_crop_size``, ``set_data_root`` and ``set_pretrained``.
    """
    _check_keys(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:  # mmengine's are of many kinds, and name no option
        raise ValueError(
            f'--cfg-options {", ".join(options)}: {type(error).__name__}: {error}'
        ) from error
    if 'crop_size' in options:
        set_crop_size(cfg, options['crop_size'])
    if 'data_root' in options:
        set_data_root(cfg, options['data_root'])
    if 'pretrained' in options:
        set_pretrained(cfg, options['pretrained'])


def _check_keys(cfg: Config, options: dict) -> None:
    """Raise ValueError for a key at the top that nothing would read; mmengine would add it."""
    known = [*inspect.signature(Runner.__init__).parameters, *_KEYS, *cfg.keys()]
    for option in options:
        first, *rest = option.split('.')
        names = known if first not in _PARTS or not rest else _PARTS[first]
        name = first if names is known else rest[0]
        if name not in names:
            nearest = get_close_matches(name, dict.fromkeys(names), n=3) or _PARTS.get(first)
            raise ValueError(
                f'--cfg-options {option}: nothing reads such a setting'
                + (f'; nearest to {name!r}: {", ".join(nearest)}' if nearest else '')
            )


def _drop_hooks(cfg: Config) -> None:
    """Leave out hooks that are None; mmengine does so with its own ones alone."""
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in _ITS_HOOKS]:
        del hooks[name]
