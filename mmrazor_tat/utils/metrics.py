"""Which metric a validation is judged by, and what people call it."""

from collections.abc import Iterable
from typing import Any, Optional

from .config_settings import type_name

# mmseg's and mmpretrain's.
MAIN = ('mIoU', 'mDice', 'mFscore', 'accuracy/top1')
_TITLES = {'accuracy/top1': 'top-1 accuracy', 'accuracy/top5': 'top-5 accuracy'}


def main_metric(names: Iterable[str]) -> str:
    """The one of :data:`MAIN` that is among the names of what was measured, whatever its prefix.

    Else the first of them; mIoU where there is none. Those that ``TeacherEvaluationHook`` adds are
    left out.
    """
    names = [name for name in names if not name.startswith(('teacher/', 'student/'))]
    for metric in MAIN:
        found = [name for name in names if name == metric or name.endswith(f'/{metric}')]
        if found:
            return min(found, key=len)
    return names[0] if names else MAIN[0]


def metric_title(name: str) -> str:
    """A metric for an axis: its name, or the field's term for it, such as 'top-1 accuracy'."""
    return _TITLES.get(name, name)


def metric_of_evaluator(evaluator: Any) -> Optional[str]:
    """The main metric that a ``val_evaluator``, a dict or a list of them, will give, more of it
    being better; None where it has neither mmseg's ``IoUMetric`` nor mmpretrain's ``Accuracy``."""
    for part in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        part = part if isinstance(part, dict) else {}
        kind, prefix = type_name(part.get('type')), part.get('prefix')
        if kind == 'IoUMetric' and not part.get('format_only'):
            name = main_metric(part.get('iou_metrics') or ['mIoU'])
        elif kind == 'Accuracy':
            top, prefix = part.get('topk', 1), prefix or 'accuracy'
            name = f'top{min(top) if isinstance(top, (list, tuple)) else top}'
        else:
            continue
        return f'{prefix}/{name}' if prefix else name
    return None
