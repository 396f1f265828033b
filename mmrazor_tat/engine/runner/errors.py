"""What ends a training or an evaluation, in one line."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Optional

from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch.cuda import OutOfMemoryError

from ... import compat
from ...utils.error_text import describe, is_in_loop, one_line, raised_by_us
from .checked_pipeline import BadSampleError

TRACEBACK = 'MMRAZOR_TAT_TRACEBACK'


@contextlib.contextmanager
def run_errors(tool: str, trust_checkpoints: bool = False) -> Iterator[None]:
    """Inside, what the user can mend ends the process with one line; checkpoints run no code.

    That is everything that is wrong before the first iteration (config, files, weights, work dir),
    and later: samples, what this package refuses, memory, the file system. The traceback goes to
    the log file of the run, and to the terminal where the environment has ``MMRAZOR_TAT_TRACEBACK``
    set to 1. Any other exception is a bug, and keeps its traceback.

    Args:
        tool: its name, which begins the line.
        trust_checkpoints: whether checkpoints may run the code that they hold.

    Raises:
        SystemExit: with the line; the exit code is then 1.
    """
    try:
        with compat.weights_only(not trust_checkpoints):
            yield
    except KeyboardInterrupt:
        print(f'{tool}: interrupted; a training goes on with --resume', file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        line = _line(error)
        if line is None or os.environ.get(TRACEBACK) == '1':
            raise
        _log(error)
        raise SystemExit(f'{tool}: {line}') from None


def _line(error: Exception) -> Optional[str]:
    """One line about an exception; None where it is a bug."""
    if isinstance(error, OutOfMemoryError):
        return one_line(
            'the GPU has too little memory: take a smaller train_dataloader.batch_size or '
            f'crop_size, or --amp: {error}',
            300,
        )
    text = str(error)
    is_of_loader = isinstance(error, BadSampleError) or 'DataLoader worker' in text
    if not is_in_loop(error) or is_of_loader or raised_by_us(error) or isinstance(error, OSError):
        return describe(error, _config_of(error))
    return None


def _config_of(error: Exception) -> Optional[Config]:
    """That of the Runner whose building or running raised the exception."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get('self')
        if isinstance(owner, Runner) and isinstance(getattr(owner, 'cfg', None), Config):
            return owner.cfg
    return None


def _log(error: Exception) -> None:
    """The traceback, for the file of the log alone."""
    if not MMLogger.check_instance_created('mmengine') and not MMLogger._instance_dict:
        return
    logger = MMLogger.get_current_instance()
    info = (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, logging.ERROR, '', 0, 'the run ended', (), info)
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
