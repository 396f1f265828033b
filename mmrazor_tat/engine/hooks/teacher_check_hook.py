"""A teacher that knows its task, or no training."""

from typing import Optional

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS

from ...models.losses.base import check_count
from ...utils.errors import naming
from ...utils.metrics import main_metric
from ..runner.evaluation import bare_model, build_loader, evaluate


@HOOKS.register_module()
class TeacherCheckHook(Hook):
    """Evaluate the teacher on the first validation images before the first iteration.

    What it finds is logged. A teacher with the weights of another task, of other classes or another
    channel order loads without a word and teaches nonsense; below ``floor`` the training stops.
    A resumed run is not checked again. Plain models, which have no teacher, are left alone.

    Args:
        num_images: how many, all processes together; whole batches are taken.
        floor: the least value that is accepted, in the unit of the metric (mIoU: 0 to 100). None:
            only log. A part of the images gives another value than all: take about half of what
            the teacher reaches.
        metric: its name among the metrics of ``val_evaluator``; None: the main one, mmseg's mIoU,
            mDice or mFscore, mmpretrain's accuracy, whatever its prefix, else the first.

    Raises:
        ValueError: the teacher is below the floor, or the validation gives no such metric.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(
        self, num_images: int = 100, floor: Optional[float] = None, metric: Optional[str] = None
    ) -> None:
        check_count('num_images', num_images)
        self.num_images, self.metric = num_images, metric
        with naming(f'floor must be a number or None, got {floor!r}'):
            self.floor = None if floor is None else float(floor)

    def before_train(self, runner) -> None:
        model = bare_model(runner)
        if runner.iter > 0 or not hasattr(model, 'teacher_val_step'):
            return
        if runner.cfg.get('val_dataloader') is None:
            if self.floor is None and 'val_dataloader' in runner.cfg:  # left out on purpose
                MMLogger.get_current_instance().warning(
                    'TeacherCheckHook: the config has no validation to try the teacher on'
                )
                return
            raise ValueError(
                'TeacherCheckHook: the config has no val_dataloader to evaluate the teacher on; '
                'add one, or leave the hook out (default_hooks.teacher_check=None, with our tools)'
            )
        loader = build_loader(runner, 'val')
        metrics, images = evaluate(runner, 'val', loader, model.teacher_val_step, self.num_images)
        metric = main_metric(metrics) if self.metric is None else self.metric
        if metric not in metrics:
            raise ValueError(
                f'TeacherCheckHook: metric {metric!r} is none of the validation: '
                + (', '.join(map(repr, metrics)) or 'it gives none')
            )
        value = float(metrics[metric])
        found = f'the teacher has {metric} {value:.2f} on the first {images} validation images'
        if self.floor is not None and not value >= self.floor:
            raise ValueError(
                f'{found}, below the floor of {self.floor:g} that the recipe sets: check '
                f'teacher_ckpt ({getattr(model, "teacher_ckpt", None)!r}), the order of its '
                "classes and the teacher's data_preprocessor (mean, std, channel order); or lower "
                "the hook's floor"
            )
        MMLogger.get_current_instance().info(found)
