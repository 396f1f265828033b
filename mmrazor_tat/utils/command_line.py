"""What the training and the test tool share: OpenMMLab's arguments, applied to a config."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from mmengine import Config, DictAction, ProgressBar

from .. import compat
from .config_options import read_config
from .environment import check_processes
from .errors import ending_with_one_line


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
    name: str = '--cfg-options',
) -> None:
    """``--cfg-options``, a dict of values by dotted key; see ``apply_options``."""
    how = dict(nargs='+', action=_Options, default={}, metavar='KEY=VALUE')
    parser.add_argument(name, **how, help=text)


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
    """What a tool does: without the chatter of others, and with these errors in one line."""
    compat.silence_harmless_warnings()
    with ending_with_one_line(tool, errors):
        yield


def check_file(option: str, path: Path, ending: str) -> None:
    """Raise ValueError unless a file of that ending can stand at ``path``."""
    if path.suffix != ending or path.is_dir():
        raise ValueError(f'--{option} {str(path)!r} must be a file {ending}')


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
    cfg = read_config(args.config, args.cfg_options)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            f"config {args.config!r}: a dict 'model' is needed, got {cfg.get('model')!r}"
        )
    cfg.launcher = args.launcher
    check_processes(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return cfg
