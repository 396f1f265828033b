"""Student and teacher side by side in every validation."""

from typing import Optional

from mmengine.hooks import Hook
from mmrazor.registry import HOOKS

from ..runner.evaluation import bare_model, build_loader, evaluate


@HOOKS.register_module()
class TeacherEvaluationHook(Hook):
    """Add the teacher's metrics to the student's in every validation.

    The log then has 'student/mIoU' and 'teacher/mIoU'. The plain names ('mIoU') stay and are the
    student's, so ``save_best='mIoU'`` chooses the best student. The teacher does not change, so it
    is evaluated once a run, in the first validation. (MMRazor's ``SingleTeacherDistillValLoop``
    evaluates it every time, on images normalized for the student.) Plain models, which have no
    teacher, are left alone.
    """

    metric_prefixes = ('student/', 'teacher/')  # of what it adds
    priority = 'HIGHEST'  # before the hooks that log the metrics and choose the best checkpoint

    def __init__(self) -> None:
        self._of_teacher: Optional[dict] = None

    def after_val_epoch(self, runner, metrics: Optional[dict] = None) -> None:
        model = bare_model(runner)
        if metrics is None or not hasattr(model, 'teacher_val_step'):
            return
        if self._of_teacher is None:
            loader = build_loader(runner, 'val')
            self._of_teacher, _ = evaluate(runner, 'val', loader, model.teacher_val_step)
        of_student = dict(metrics)
        for name, values in (('student', of_student), ('teacher', self._of_teacher)):
            metrics.update({f'{name}/{key}': value for key, value in values.items()})
