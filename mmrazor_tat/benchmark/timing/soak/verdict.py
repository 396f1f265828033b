"""Does memory grow? By a slope that single jumps do not move."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from .samples import MemorySample

MIB = 2**20
PER = 1000  # iterations, of all slopes
_FEWEST = 6  # samples that a slope is told from


@dataclass(frozen=True)
class Limits:
    """Growth that is let pass in 1,000 iterations.

    Attributes:
        mib: of the process, and of its workers, above what is expected.
        tensors: live ones.
        objects: Python's.
    """

    mib: float = 8.0
    tensors: float = 5.0
    objects: float = 500.0


@dataclass(frozen=True)
class Verdict:
    """What a soak has shown; slopes are in 1,000 iterations.

    Attributes:
        start: the first iteration that is judged.
        resident: growth in MiB.
        expected: the part of it that is meant to be, in MiB.
        children: growth of the workers in MiB; None without workers.
        tensors, objects: growth in number.
        grows: what is above its limit, a phrase each; empty: memory is flat.
    """

    start: int
    resident: float
    expected: float
    children: Optional[float]
    tensors: float
    objects: float
    grows: tuple[str, ...]

    @property
    def is_flat(self) -> bool:
        return not self.grows


def judge(
    samples: Sequence[MemorySample],
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    expected_mib: float = 0.0,
    start: Optional[int] = None,
) -> Verdict:
    """Whether memory is flat once a training has warmed up.

    Args:
        samples: in the order of their iterations.
        limits: of the growth.
        expected_mib: growth of the resident memory in 1,000 iterations that is known and meant.
        start: the first iteration to judge; None: the second half.

    Raises:
        ValueError: too few samples from ``start`` on.
    """
    if start is None and samples:
        start = (samples[-1].iteration + 1) // 2
    judged = [sample for sample in samples if sample.iteration >= start] if samples else []
    if len(judged) < _FEWEST:
        raise ValueError(
            f'{len(judged)} samples to judge, from iteration {start} on: a slope needs at least '
            f'{_FEWEST}. Take more iterations or a shorter interval'
        )
    iterations = [sample.iteration for sample in judged]

    def growth(of: str, unit: float = 1.0) -> float:
        return PER * slope(iterations, [getattr(sample, of) / unit for sample in judged])

    has_children = any(sample.children for sample in judged)
    resident, children = growth('resident', MIB), growth('children', MIB)
    tensors, objects = growth('tensors'), growth('objects')
    grows = []
    if resident - expected_mib > limits.mib:
        grows.append(
            f'resident memory by {resident:,.1f} MiB (expected {expected_mib:.1f}, limit '
            f'{limits.mib:g} more)'
        )
    if has_children and children > limits.mib:
        grows.append(f"the workers' memory by {children:,.1f} MiB (limit {limits.mib:g})")
    if tensors > limits.tensors:
        grows.append(f'live tensors by {tensors:,.0f} (limit {limits.tensors:g})')
    if objects > limits.objects:
        grows.append(f'Python objects by {objects:,.0f} (limit {limits.objects:g})')
    return Verdict(
        start,
        resident,
        expected_mib,
        children if has_children else None,
        tensors,
        objects,
        tuple(grows),
    )


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Theil and Sen's: the median of the slopes between all pairs of points, x ascending."""
    return statistics.median(
        (y[j] - y[i]) / (x[j] - x[i]) for i in range(len(x)) for j in range(i + 1, len(x))
    )
