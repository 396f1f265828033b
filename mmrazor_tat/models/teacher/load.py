"""Loading a teacher's checkpoint: completely, or not at all."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ...compat.checkpoints import read_checkpoint

# Where files keep weights, in the order of preference. mmengine's EMAHook puts the averaged weights
# into 'state_dict' and the others into 'ema_state_dict'; other trainers do the opposite.
_ENTRIES = ('state_dict', 'model', 'state_dict_ema', 'model_ema', 'ema_state_dict')
# Wrappers around the network: DistributedDataParallel, MMRazor's algorithms (the trained network
# is 'architecture', an own teacher comes second), Lightning.
_PREFIXES = ('', 'module.', 'architecture.', 'module.architecture.', 'teacher.', 'model.')


def load_teacher(teacher: nn.Module, checkpoint: str, trust: bool = False) -> str:
    """Load every weight of ``teacher`` from ``checkpoint``, on the CPU.

    Args:
        teacher: the model.
        checkpoint: a file, or anything that mmengine's loader takes (a URL, ``open-mmlab://...``):
            of a plain network, with or without a ``state_dict`` entry, of DistributedDataParallel,
            with averaged weights (EMA), or of a distillation algorithm of MMRazor, whose trained
            network (``architecture.*``) is taken, or its teacher where only that one fits.
        trust: load a file that holds more than safe content. It can run any code: only for files of
            one's own.

    Returns:
        What was loaded, a line for the log.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no checkpoint, pickled code, or keys that are missing, unexpected or of
            another shape, all of them listed. The teacher is then unchanged.
    """
    try:
        content = read_checkpoint(checkpoint, trust)
    except FileNotFoundError as error:
        advice = '; set it with --cfg-options model.teacher_ckpt=PATH'
        raise FileNotFoundError(f'teacher_ckpt: {error}{advice}') from error
    except ValueError as error:
        raise ValueError(f'teacher_ckpt: {error}') from error
    own, fewest = teacher.state_dict(), None
    for entry, prefix, weights, left_out in _candidates(content):
        problems = _problems(own, weights)
        if not problems:
            teacher.load_state_dict(weights, strict=False)
            parts = [f'entry {entry!r}' if entry else 'the file itself']
            parts += [f'prefix {prefix!r} taken off'] * bool(prefix)
            parts += [f'{left_out} other weights of the file left out'] * bool(left_out)
            parts += ['averaged (EMA)'] * (entry == 'state_dict' and 'ema_state_dict' in content)
            return (
                f'teacher {type(teacher).__name__}: all {len(own)} weights and buffers loaded from '
                f'{checkpoint!r} ({", ".join(parts)})'
            )
        fewest = min(fewest or problems, problems, key=len)
    if fewest is None:
        names = ', '.join(map(repr, list(content)[:8])) if isinstance(content, dict) else ''
        holds = f'the entries {names}' if names else f'a {type(content).__name__}'
        raise ValueError(f'teacher_ckpt {checkpoint!r} holds no state_dict, but {holds}')
    kinds = dict.fromkeys(kind for kind, _ in fewest)
    found = {kind: [key for of, key in fewest if of == kind] for kind in kinds}
    raise ValueError(
        f'teacher_ckpt {checkpoint!r} does not fit the teacher ({type(teacher).__name__}, '
        f'{len(own)} keys):'
        + ''.join(
            f'\n  {len(keys)} {kind}:\n    ' + '\n    '.join(keys) for kind, keys in found.items()
        )
    )


def _candidates(content: Any) -> Iterator[tuple[str, str, dict[str, Tensor], int]]:
    """(entry, prefix, weights, left out) of all that may be the network, the likeliest first."""
    entries = {}
    if isinstance(content, dict):
        entries = {name: content[name] for name in _ENTRIES if name in content} or {'': content}
    for entry, tensors in entries.items():
        tensors = tensors if isinstance(tensors, dict) else {}
        tensors = {key: value for key, value in tensors.items() if isinstance(value, Tensor)}
        for prefix in _PREFIXES:
            weights = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            if weights:
                yield entry, prefix, weights, len(tensors) - len(weights)


def _problems(own: dict[str, Tensor], weights: dict[str, Tensor]) -> list[tuple[str, str]]:
    """(kind, key) of everything that does not fit."""
    # Counters of batch norm: older checkpoints lack them, and evaluation never reads them.
    needed = [key for key in own if not key.endswith('num_batches_tracked')]
    found = [('missing in the file', key) for key in needed if key not in weights]
    found += [('unexpected', key) for key in weights if key not in own]
    for key in own:
        shapes = [tuple(of[key].shape) for of in (weights, own) if key in of]
        if len(set(shapes)) > 1:
            text = f'{key}: {shapes[0]} in the file, {shapes[1]} in the teacher'
            found.append(('of another shape', text))
    return found
