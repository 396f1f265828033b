"""Which teacher a checkpoint was trained with, in place of the teacher's weights."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

# The name under which a distillation checkpoint's state_dict has it.
KEY = 'teacher_identity'


@dataclass(frozen=True)
class TeacherIdentity:
    """Where a teacher came from, and what it is."""

    checkpoint: str  # the file, by its whole path, or the URL
    sha256: str  # of its weights and statistics: names, types, shapes and values

    @classmethod
    def of(cls, teacher: nn.Module, checkpoint: str) -> 'TeacherIdentity':
        """Of a teacher that has been loaded from ``checkpoint``."""
        if '://' not in checkpoint:
            checkpoint = os.path.abspath(os.path.expanduser(checkpoint))
        return cls(checkpoint, digest_of_weights(teacher.state_dict()))

    def to_tensor(self) -> Tensor:
        """As a state_dict can hold it, whoever writes and reads the file: uint8, its JSON text."""
        return torch.frombuffer(bytearray(json.dumps(asdict(self)).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, text: Tensor) -> 'TeacherIdentity':
        """What :meth:`to_tensor` gave."""
        return cls(**json.loads(bytes(text.cpu().tolist())))

    def __str__(self) -> str:
        return f'{self.checkpoint!r} (sha256 {self.sha256[:16]})'


def digest_of_weights(weights: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, but for counters: evaluation never reads them,
    and older files lack them."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        if not name.endswith('num_batches_tracked'):
            value = value.detach().cpu().contiguous()
            digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
            digest.update(value.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
