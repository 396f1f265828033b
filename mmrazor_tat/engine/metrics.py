"""Which metric a validation is judged by, and what people call it."""

from collections.abc import Iterable

# mmseg's and mmpretrain's.
MAIN = ('mIoU', 'accuracy/top1')
_TITLES = {'accuracy/top1': 'top-1 accuracy', 'accuracy/top5': 'top-5 accuracy'}


def main_metric(names: Iterable[str]) -> str:
    """The one of :data:`MAIN` that is among the names of what was measured; else the first."""
    names = set(names)
    return next((metric for metric in MAIN if metric in names), MAIN[0])


def metric_title(name: str) -> str:
    """A metric for an axis: its name, or the field's term for it, such as 'top-1 accuracy'."""
    return _TITLES.get(name, name)
