"""Reading a checkpoint: safe content only, unless the caller trusts it."""

import os

from mmengine.runner import CheckpointLoader

from .safe_checkpoints import trusts_checkpoints, weights_only, what_is_wrong


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
        trust: load a file that holds more than safe content, as inside ``trust_checkpoints()``. It
            can run any code: only for files of one's own.
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
        with weights_only(not (trust or trusts_checkpoints())):
            return CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    except OSError as error:  # of a URL that cannot be had, or of a file that ends too early
        if is_path:
            raise ValueError(f'{argument} {checkpoint!r} {what_is_wrong(error)}') from error
        raise FileNotFoundError(
            f'{argument}: {checkpoint!r} cannot be had: {error}' + (f'; {advice}' if advice else '')
        ) from error
    except ModuleNotFoundError as error:  # torchvision:// and the like
        raise ValueError(
            f'{argument} {checkpoint!r} needs {error.name}, which is not installed'
        ) from error
    except Exception as error:  # bytes that are no checkpoint make torch raise nearly anything
        raise ValueError(
            f'{argument} {checkpoint!r} {what_is_wrong(error, advice=trust_advice)}'
        ) from error
