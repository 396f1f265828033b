"""Loading a teacher's checkpoint: completely, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from torch import Tensor, nn

from ...compat.checkpoints import read_checkpoint

# Where files keep weights, in the order of preference. mmengine's EMAHook puts the averaged weights
# into 'state_dict' and the others into 'ema_state_dict'; other trainers do the opposite.
_ENTRIES = ('state_dict', 'model', 'state_dict_ema', 'model_ema', 'ema_state_dict')
# Wrappers around the network: DistributedDataParallel, MMRazor's algorithms (the trained network
# is 'architecture', an own teacher comes second), Lightning.
_PREFIXES = ('', 'module.', 'architecture.', 'module.architecture.', 'teacher.', 'model.')


@dataclass(frozen=True)
class TeacherReport:
    """What was loaded: ``str()`` is the line for the log.

    Attributes:
        checkpoint: the file or URL.
        teacher: the class of the network.
        count: weights and buffers that were loaded, all that the teacher has.
        entry: the entry of the file that holds them; '' for a file that is the weights.
        prefix: what was taken off their names.
        left_out: names of that entry without the prefix, e.g. a distiller's.
        is_averaged: the weights are those that mmengine's EMAHook averaged.
    """

    checkpoint: str
    teacher: str
    count: int
    entry: str
    prefix: str
    left_out: int
    is_averaged: bool

    def __str__(self) -> str:
        parts = [f'entry {self.entry!r}' if self.entry else 'the file itself']
        if self.prefix:
            parts.append(f'prefix {self.prefix!r} taken off')
        if self.left_out:
            parts.append(f'{self.left_out} other weights of the file left out')
        if self.is_averaged:
            parts.append('averaged (EMA)')
        return (
            f'teacher {self.teacher}: all {self.count} weights and buffers loaded from '
            f'{self.checkpoint!r} ({", ".join(parts)})'
        )


def load_teacher(teacher: nn.Module, checkpoint: str, trust: bool = False) -> TeacherReport:
    """Load every weight of ``teacher`` from ``checkpoint``, on the CPU.

    Args:
        teacher: the model.
        checkpoint: a file, or anything that mmengine's loader takes (a URL, ``open-mmlab://...``):
            of a plain network, with or without a ``state_dict`` entry, of DistributedDataParallel,
            with averaged weights (EMA), or of a distillation algorithm of MMRazor, whose trained
            network (``architecture.*``) is taken, or its teacher where only that one fits.
        trust: load a file that holds more than safe content. It can run any code: only for files of
            one's own.

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
    own = teacher.state_dict()
    best: Optional[list[tuple[str, str]]] = None
    for entry, prefix, weights, left_out in _candidates(content, checkpoint):
        problems = _problems(own, weights)
        if not problems:
            teacher.load_state_dict(weights, strict=False)
            return TeacherReport(
                checkpoint,
                type(teacher).__name__,
                len(own),
                entry,
                prefix,
                left_out,
                entry == 'state_dict' and 'ema_state_dict' in content,
            )
        if best is None or len(problems) < len(best):
            best = problems
    raise ValueError(
        f'teacher_ckpt {checkpoint!r} does not fit the teacher '
        f'({type(teacher).__name__}, {len(own)} keys):\n' + _listed(best)
    )


def _candidates(content, checkpoint: str) -> Iterator[tuple[str, str, dict[str, Tensor], int]]:
    """(entry, prefix, weights, left out) of all that may be the network, the likeliest first."""
    entries = {}
    if isinstance(content, dict):
        entries = {name: content[name] for name in _ENTRIES if name in content} or {'': content}
    found = False
    for entry, tensors in entries.items():
        if not isinstance(tensors, dict):
            continue
        tensors = {key: value for key, value in tensors.items() if isinstance(value, Tensor)}
        for prefix in _PREFIXES:
            weights = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            if weights:
                found = True
                yield entry, prefix, weights, len(tensors) - len(weights)
    if not found:
        names = ', '.join(map(repr, list(content)[:8])) if isinstance(content, dict) else None
        raise ValueError(
            f'teacher_ckpt {checkpoint!r} holds no state_dict, but '
            + (f'the entries {names}' if names else f'a {type(content).__name__}')
        )


def _problems(own: dict[str, Tensor], weights: dict[str, Tensor]) -> list[tuple[str, str]]:
    """(kind, key) of everything that does not fit."""
    missing = [
        # Counters of batch norm: older checkpoints lack them, and evaluation never reads them.
        ('missing in the file', key)
        for key in own
        if key not in weights and not key.endswith('num_batches_tracked')
    ]
    unexpected = [('unexpected', key) for key in weights if key not in own]
    other_shape = [
        (
            'of another shape',
            f'{key}: {tuple(weights[key].shape)} in the file, {tuple(own[key].shape)} in the '
            'teacher',
        )
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    return missing + unexpected + other_shape


def _listed(problems: list[tuple[str, str]]) -> str:
    kinds = dict.fromkeys(kind for kind, _ in problems)
    parts = []
    for kind in kinds:
        keys = [key for of, key in problems if of == kind]
        parts.append(f'  {len(keys)} {kind}:\n    ' + '\n    '.join(keys))
    return '\n'.join(parts)
