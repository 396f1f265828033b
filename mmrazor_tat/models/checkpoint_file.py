"""Reading a checkpoint: plain data only, unless the caller trusts it."""

import errno
import os
import pickle
import re

from mmengine.runner import CheckpointLoader

from ..compat import weights_only


def read_checkpoint(
    checkpoint: str,
    argument: str = 'checkpoint',
    advice: str = '',
    trust: bool = False,
    trust_advice: str = '',
) -> dict:
    """What a checkpoint holds, on the CPU.

    Args:
        checkpoint: a file, or anything that mmengine's loader takes (a URL, ``open-mmlab://...``).
        argument: what the caller calls it; the errors begin with it.
        advice: what to do where there is no such file; ends the error.
        trust: load a file that holds more than plain data. It can run any code: only for files of
            one's own.
        trust_advice: how the caller can be told to trust, for the error.

    Raises:
        FileNotFoundError: there is no such file, or a URL that cannot be had.
        ValueError: it is damaged, no checkpoint, or holds pickled code and is not trusted.
    """
    is_path = '://' not in checkpoint
    if is_path and os.path.isdir(os.path.expanduser(checkpoint)):
        raise FileNotFoundError(f'{argument}: {checkpoint!r} is a folder, not a file')
    if is_path and not os.path.isfile(os.path.expanduser(checkpoint)):
        raise FileNotFoundError(
            f'{argument}: there is no file {checkpoint!r} (looked from {os.getcwd()!r})'
            + (f'; {advice}' if advice else '')
        )
    try:
        with weights_only(not trust):
            return CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    except OSError as error:  # of a URL that cannot be had, or of a file that ends too early
        if is_path:
            raise ValueError(
                f'{argument} {checkpoint!r} is damaged, or no checkpoint: {_first_lines(error)}'
            ) from error
        raise FileNotFoundError(
            f'{argument}: {checkpoint!r} cannot be had: {error}' + (f'; {advice}' if advice else '')
        ) from error
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        if re.search('GLOBAL|Unsupported (global|class)', str(error)):
            raise ValueError(
                f'{argument} {checkpoint!r} holds pickled code besides weights, which is '
                f'refused{trust_advice}: {_first_lines(error)}'
            ) from error
        raise ValueError(
            f'{argument} {checkpoint!r} is damaged, or no checkpoint: {_first_lines(error)}'
        ) from error


def _first_lines(error: Exception) -> str:
    """What is wrong, without torch's advice to load the file unsafely."""
    text = str(error) or type(error).__name__
    if isinstance(error, EOFError) or getattr(error, 'errno', None) == errno.EINVAL:
        # torch looks for the end of a file before its start
        return 'the file is empty, or ends too early'
    if 'central directory' in text:
        return 'its end is missing (was it cut off in writing or copying?)'
    if 'Unsupported operand' in text or 'invalid load key' in text:
        return 'it is no file of torch.save'
    found = re.search(r'(unsupported GLOBAL|Unsupported (global|class|operand)).*', text)
    return (found.group(0) if found else text.splitlines()[0])[:300]
