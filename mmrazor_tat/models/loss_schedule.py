"""The factor of a loss as a function of the iteration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class LossSchedule:
    """Warm-up, decay and stop of a loss. Stateless, so a resumed run goes on as it was.

    Args:
        warmup: iterations of a linear warm-up: the factor of iteration i (from 0) is
            (i + 1) / warmup until it is 1.
        decay: (begin, end): from iteration ``begin`` to ``end`` the factor falls from 1 to
            ``decay_to`` and stays there.
        decay_to: at least 0.
        decay_by: 'linear' or 'cosine'.
        stop: from this iteration on the loss is neither computed nor counted.

    Raises:
        ValueError: a setting out of range or out of order.
    """

    warmup: int = 0
    decay: Optional[Sequence[int]] = None
    decay_to: float = 0.0
    decay_by: str = 'linear'
    stop: Optional[int] = None

    def __post_init__(self) -> None:
        if not isinstance(self.warmup, int) or self.warmup < 0:
            raise ValueError(f'warmup must be a number of iterations, got {self.warmup!r}')
        if self.decay is not None and not (
            isinstance(self.decay, Sequence)
            and len(self.decay) == 2
            and all(isinstance(i, int) for i in self.decay)
            and self.warmup <= self.decay[0] < self.decay[1]
        ):
            raise ValueError(
                f'decay must be (begin, end), two iterations with warmup={self.warmup} <= begin < '
                f'end, got {self.decay!r}'
            )
        if not (isinstance(self.decay_to, (int, float)) and 0 <= self.decay_to < math.inf):
            raise ValueError(f'decay_to must be a number of at least 0, got {self.decay_to!r}')
        if self.decay_by not in ('linear', 'cosine'):
            raise ValueError(f"decay_by must be 'linear' or 'cosine', got {self.decay_by!r}")
        first = self.decay[0] if self.decay else self.warmup
        if self.stop is not None and not (isinstance(self.stop, int) and self.stop > first):
            raise ValueError(f'stop must be an iteration after {first}, got {self.stop!r}')

    def factor(self, iteration: int) -> float:
        """The factor of an iteration, counted from 0."""
        if self.stop is not None and iteration >= self.stop:
            return 0.0
        if iteration < self.warmup:
            return (iteration + 1) / self.warmup
        if self.decay is None or iteration <= self.decay[0]:
            return 1.0
        begin, end = self.decay
        part = min(1.0, (iteration - begin) / (end - begin))
        if self.decay_by == 'cosine':
            part = (1 - math.cos(math.pi * part)) / 2
        return 1.0 + (self.decay_to - 1.0) * part
