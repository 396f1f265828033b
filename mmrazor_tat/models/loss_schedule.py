"""The factor of a loss as a function of the iteration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class LossSchedule:
    """Warm-up, decay and stop of a loss. Stateless, so a resumed run goes on as it was.

    Args:
        warmup: iterations: the factor of iteration i (from 0) is (i + 1) / warmup until it is 1.
        decay: (begin, end): between them the factor falls from 1 to ``decay_to`` and stays there.
        decay_to: at least 0.
        decay_by: 'linear' or 'cosine'.
        stop: from this iteration on the loss is neither computed nor counted.
    """

    warmup: int = 0
    decay: Optional[Sequence[int]] = None
    decay_to: float = 0.0
    decay_by: str = 'linear'
    stop: Optional[int] = None

    def __post_init__(self) -> None:
        is_pair = isinstance(self.decay, Sequence) and len(self.decay) == 2
        begin, end = self.decay if is_pair else (self.warmup, math.inf)
        fits = dict(
            warmup=(isinstance(self.warmup, int) and self.warmup >= 0, 'a number of iterations'),
            decay=(
                (is_pair or self.decay is None) and self.warmup <= begin < end,
                f'(begin, end), two iterations with warmup={self.warmup} <= begin < end',
            ),
            decay_to=(0 <= self.decay_to < math.inf, 'a number of at least 0'),
            decay_by=(self.decay_by in ('linear', 'cosine'), "'linear' or 'cosine'"),
            stop=(self.stop is None or self.stop > begin, f'an iteration after {begin}'),
        )
        for name, (is_fitting, what) in fits.items():
            if not is_fitting:
                raise ValueError(f'{name} must be {what}, got {getattr(self, name)!r}')

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
