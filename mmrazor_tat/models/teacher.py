"""Loading a teacher's checkpoint: completely, or not at all."""

import os
import pickle
import re

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..compat import weights_only


def load_teacher(teacher: nn.Module, checkpoint: str) -> None:
    """Load every weight of ``teacher`` from ``checkpoint``, on the CPU.

    Args:
        teacher: the model.
        checkpoint: a file, or anything that mmengine's loader takes (a URL, ``open-mmlab://...``).
            Its ``state_dict`` entry, if it has one, is taken; so is a ``module.`` prefix off.
            Only plain data is loaded, never pickled code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no checkpoint, pickled code, or keys that are missing, unexpected or of
            another shape, all of them listed. The teacher is then unchanged.
    """
    is_path = '://' not in checkpoint
    if is_path and not os.path.isfile(os.path.expanduser(checkpoint)):
        raise FileNotFoundError(
            f'teacher_ckpt: there is no file {checkpoint!r} (looked from {os.getcwd()!r}); '
            "set it with --cfg-options model.teacher_ckpt=PATH or in the recipe's model"
        )
    try:
        with weights_only():
            content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f'teacher_ckpt {checkpoint!r} is not a checkpoint of plain weights (a file that is '
            f'damaged, or holds pickled code, is refused): {error}'
        ) from error

    weights = _state_dict(content, checkpoint)
    _check_keys(teacher, weights, checkpoint)
    teacher.load_state_dict(weights, strict=False)


def _state_dict(content, checkpoint: str) -> dict[str, Tensor]:
    weights = content.get('state_dict', content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not any(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f'teacher_ckpt {checkpoint!r} holds no state_dict')
    if all(key.startswith('module.') for key in weights):
        weights = {re.sub('^module.', '', key): value for key, value in weights.items()}
    return weights


def _check_keys(teacher: nn.Module, weights: dict[str, Tensor], checkpoint: str) -> None:
    own = teacher.state_dict()
    missing = [
        # Counters of batch norm: older checkpoints lack them, and evaluation never reads them.
        key
        for key in own
        if key not in weights and not key.endswith('num_batches_tracked')
    ]
    unexpected = [key for key in weights if key not in own]
    other_shape = [
        f'{key}: {tuple(weights[key].shape)} in the file, {tuple(own[key].shape)} in the teacher'
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    problems = [
        f'{len(keys)} {title}:\n    ' + '\n    '.join(keys)
        for title, keys in (
            ('missing in the file', missing),
            ('unexpected', unexpected),
            ('of another shape', other_shape),
        )
        if keys
    ]
    if problems:
        raise ValueError(
            f'teacher_ckpt {checkpoint!r} does not fit the teacher '
            f'({type(teacher).__name__}, {len(own)} keys):\n  ' + '\n  '.join(problems)
        )
