"""The series of numbers of a run, and their running mean."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

from ...models.distillers.records import name_for_log
from .run import Lines, Run

_DISTILL = 'distill.'
_SHARE, _FACTOR = 'grad_share/', 'factor/'


class Series(NamedTuple):
    """A curve.

    Attributes:
        iterations: ascending.
        values: one for each; NaN where what was logged is no finite number.
    """

    iterations: list[int]
    values: list[float]


def series(lines: Lines, name: str) -> Series:
    """What was logged under a name; lines without it are passed over."""
    return _series(lines, lambda line: line.get(name))


def total_loss(run: Run) -> Series:
    """What was minimized: the sum of all losses."""
    return series(run.training, 'loss')


def task_loss(run: Run) -> Series:
    """The sum of the losses that are not distillation's: of all heads, as mmengine adds them."""
    names = [name for name in _names(run) if _is_loss(name) and not name.startswith(_DISTILL)]
    return _series(run.training, lambda line: _sum(line.get(name) for name in names))


def distillation_losses(run: Run) -> dict[str, Series]:
    """Each, with its weight, by its name without 'loss'."""
    return {_short(name): series(run.training, name) for name in _distillation_names(run)}


def loss_parts(run: Run) -> dict[str, Series]:
    """The parts of distillation losses, such as the views of TaT ('tat_patch').

    mmengine logs a loss as the mean since the line before, a part as it is at the iteration of the
    line: the parts add up to a loss only on average.
    """
    names = [name for name in _names(run) if name.startswith(_DISTILL) and not _is_loss(name)]
    return {name[len(_DISTILL) :]: series(run.training, name) for name in names}


def loss_shares(run: Run) -> dict[str, Series]:
    """Each distillation loss over the total loss; what is missing to 1 is the task's."""

    def share(name: str) -> Callable[[dict], Optional[float]]:
        return lambda line: _ratio(line.get(name), line.get('loss'))

    return {_short(name): _series(run.training, share(name)) for name in _distillation_names(run)}


def gradient_shares(run: Run) -> dict[str, dict[str, Series]]:
    """Of each distillation loss, by the student's record; what is missing to 1 is the task's."""
    shares: dict[str, dict[str, Series]] = {}
    for name in _names(run):
        if name.startswith(_SHARE):
            recorder, loss = name[len(_SHARE) :].rsplit('/', 1)
            if loss != 'task':
                of_recorder = shares.setdefault(recorder, {})
                of_recorder[name_for_log(loss) or loss] = series(run.training, name)
    return shares


def loss_factors(run: Run) -> dict[str, Series]:
    """Those of a loss schedule, by the loss."""
    names = [name for name in _names(run) if name.startswith(_FACTOR)]
    return {name[len(_FACTOR) :]: series(run.training, name) for name in names}


def learning_rate(run: Run) -> Series:
    """Of the first group of parameters; with several optimizers, of the first."""
    names = [name for name in _names(run) if name == 'lr' or name.endswith('.lr')]
    return series(run.training, min(names, key=lambda name: name != 'lr') if names else 'lr')


def _names(run: Run) -> list[str]:
    return list(dict.fromkeys(name for line in run.training for name in line))


def _distillation_names(run: Run) -> list[str]:
    return [name for name in _names(run) if name.startswith(_DISTILL) and _is_loss(name)]


def _is_loss(name: str) -> bool:
    """By mmengine's rule: it adds up what has 'loss' in its name, as 'loss'."""
    return 'loss' in name and name != 'loss' and not name.startswith((_SHARE, _FACTOR))


def _short(name: str) -> str:
    return name_for_log(name[len(_DISTILL) :]) or 'distill'


def _series(lines: Lines, value_of: Callable[[dict[str, Any]], Optional[float]]) -> Series:
    points = [(line['iter'], value_of(line)) for line in lines]
    points = [(iteration, value) for iteration, value in points if _is_number(value)]
    return Series(
        [iteration for iteration, _ in points],
        [float(value) if math.isfinite(value) else math.nan for _, value in points],
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sum(values) -> Optional[float]:
    numbers = [value for value in values if _is_number(value)]
    return sum(numbers) if numbers else None


def _ratio(part: Any, whole: Any) -> Optional[float]:
    if not _is_number(part) or not _is_number(whole):
        return None
    return part / whole if whole else math.nan


def default_window(points: int) -> int:
    """Of a curve: about a fortieth of its points; none below 80."""
    return odd(points // 40)


def odd(window: int) -> int:
    """The next odd number, so that a mean has as many points before as after."""
    return max(1, window + (window % 2 == 0 and window > 0))


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and its neighbours; the curve is not shifted.

    Args:
        values: NaN among them is left out of the means, and stays NaN itself.
        window: how many values, an odd number. Towards both ends as many as there are on each side.

    Returns:
        As many as ``values``.
    """
    means = []
    for place, value in enumerate(values):
        reach = min(window // 2, place, len(values) - 1 - place)
        near = [v for v in values[place - reach : place + reach + 1] if not math.isnan(v)]
        means.append(math.nan if math.isnan(value) else sum(near) / len(near))
    return means
