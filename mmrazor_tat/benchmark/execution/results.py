"""What a run logged: mmengine's scalars.json and the end of its output."""

import math
import re
from pathlib import Path
from typing import Any, Optional

from ...utils.work_dir import diverged_at, log_files, parse_line, read_lines

_TAIL_BYTES = 2**15
_ERROR = re.compile(r'^(?:\[rank\d+\]: ?)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*)')
# What mmengine logs with every line.
_NO_METRICS = ('step', 'iter', 'epoch', 'lr', 'time', 'data_time', 'memory')
# What torchrun says of a failed worker, which has told the reason before.
_SECOND_HAND = ('ChildFailedError', 'SignalException')


def read_results(folder: Path, metric: str) -> dict[str, Any]:
    """The validations of a run over all its starts; where two logged one step, the later counts.

    Args:
        folder: its work dir.
        metric: the suite's. Metrics of the same last name under a prefix ('squashed/mIoU') are
            read as well.

    Returns:
        ``metrics``: by name, the suite's first, each with ``last``, ``best``, ``best_step`` and
        ``curve``, the list of (step, value) by iterations or epochs, as the run counts;
        ``iterations``; ``gpu_mib``, the peak of torch's allocator, or None; ``diverged_at``, the
        logged iteration since which the training loss is no finite number, up to the end, or None.
    """
    curves: dict[str, dict[int, float]] = {metric: {}}
    losses: dict[int, float] = {}
    iterations, memory = 0, None
    leaf = metric.split('/')[-1]
    for line in read_lines(folder):
        iterations = max(iterations, line.get('iter', 0))
        if 'loss' in line and 'iter' in line:
            losses[line['iter']] = line['loss']
        if 'memory' in line:
            memory = max(memory or 0, line['memory'])
        for name, value in line.items():
            if name.split('/')[-1] == leaf and isinstance(value, (int, float)):
                curves.setdefault(name, {})[line['step']] = value
    metrics = {name: _summary(curve) for name, curve in curves.items() if curve}
    return dict(
        metrics=metrics,
        iterations=iterations,
        gpu_mib=memory,
        diverged_at=diverged_at(losses),
    )


def validated_names(folder: Path) -> list[str]:
    """What the validations of a run measured, in order."""
    validations = [line for line in read_lines(folder) if 'loss' not in line]
    names = dict.fromkeys(name for line in validations for name in line)
    return [name for name in names if name not in _NO_METRICS]


def _summary(curve: dict[int, float]) -> dict[str, Any]:
    points = sorted(curve.items())
    # Of equal values the first; one that is no number is never the best.
    best_step, best = max(points, key=lambda p: -math.inf if math.isnan(p[1]) else p[1])
    return dict(last=points[-1][1], best=best, best_step=best_step, curve=points)


def last_training_line(folder: Path) -> Optional[tuple[dict[str, Any], float]]:
    """The newest line of a training, and when it was written; for the progress."""
    for path in reversed(log_files(folder)):
        with path.open('rb') as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            texts = file.read().decode(errors='replace').splitlines()
        for text in reversed(texts):
            line = parse_line(text)
            if line is not None and 'loss' in line and 'step' in line:
                return line, path.stat().st_mtime
    return None


def discard_logs(folder: Path) -> None:
    """Take what was logged out of account: the run begins anew."""
    for path in log_files(folder):
        path.rename(path.with_name('scalars_discarded.json'))


def read_error(log: Path, since: int = 0, lines: int = 20) -> tuple[str, list[str]]:
    """Why a run failed: the line of its exception, else its last line; and its last lines.

    Args:
        log: all that it printed.
        since: bytes of earlier starts, which are passed over.
        lines: how many of the last ones.
    """
    with log.open('rb') as file:
        file.seek(max(since, log.stat().st_size - _TAIL_BYTES))
        texts = file.read().decode(errors='replace').splitlines()
    texts = [text.rstrip() for text in texts if text.strip()]
    found = [match.group(1) for match in map(_ERROR.match, texts) if match]
    first_hand = [text for text in found if not any(word in text for word in _SECOND_HAND)]
    reason = (first_hand or found or texts or ['it printed nothing'])[-1]
    return reason, texts[-lines:]
