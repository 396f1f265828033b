"""What ends a training or an evaluation, in one line."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from mmengine.logging import MMLogger
from torch.cuda import OutOfMemoryError

from ... import compat
from ...utils.errors import UserError, ending_with_one_line


@contextlib.contextmanager
def run_errors(tool: str, trust_checkpoints: bool = False) -> Iterator[None]:
    """Inside, what the user can mend ends the process with one line; checkpoints run no code.

    That is a UserError, which the ``GuardedRunner`` makes of everything that is wrong before the
    first iteration, and later what the file system, the memory and a loss that is no number end.
    The traceback goes to the log file of the run, and to the terminal where the environment has
    ``MMRAZOR_TAT_TRACEBACK`` set to 1. Any other exception is a bug, and keeps its traceback.
    """
    compat.silence_harmless_warnings()
    with ending_with_one_line(tool, (UserError, OSError, FloatingPointError)):
        try:
            with compat.weights_only(not trust_checkpoints):
                yield
        except KeyboardInterrupt:
            print(f'{tool}: interrupted; a training goes on with --resume', file=sys.stderr)
            raise SystemExit(130) from None
        except OutOfMemoryError as error:
            raise UserError(
                'the GPU has too little memory: take a smaller train_dataloader.batch_size or '
                f'crop_size, or --amp: {str(error)[:300]}'
            ) from error
        except Exception as error:  # the traceback, for the file of the log alone
            logger = MMLogger.get_current_instance()
            info = (type(error), error, error.__traceback__)
            record = logger.makeRecord(logger.name, logging.ERROR, '', 0, 'the run ended', (), info)
            for handler in logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.handle(record)
            raise
