"""Warm-up, decay and stop of distillation losses."""

from typing import Optional

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS

from ...models.distillers.records import name_for_log, nearest_names
from ...models.loss_schedule import LossSchedule
from ...utils.errors import naming
from ..runner.evaluation import bare_model


@HOOKS.register_module()
class LossScheduleHook(Hook):
    """Multiply distillation losses by a factor that follows the iteration.

    .. code-block:: python

        default_hooks = dict(loss_schedule=dict(
            type='mmrazor.LossScheduleHook',
            schedules=dict(loss_tat=dict(warmup=1000, decay=(20000, 40000), decay_to=0.1))))

    The factor depends on the iteration alone: a resumed run goes on as it was. A loss of factor 0
    is not computed; when all are stopped, the teacher does not run any more.

    Args:
        schedules: the arguments of a :class:`LossSchedule` by the name of a loss in
            ``distill_losses``. Losses that are not named keep the factor 1.

    Raises:
        ValueError: a setting out of range; before training, a name that is no distillation loss.
    """

    def __init__(self, schedules: dict[str, dict]) -> None:
        self.schedules = {}
        for name, settings in schedules.items():
            with naming(f'LossScheduleHook: schedules[{name!r}] = {settings!r}'):
                settings = {k: v for k, v in settings.items() if k != '_scope_'}
                self.schedules[name] = LossSchedule(**settings)

    def before_train(self, runner) -> None:
        distiller = getattr(bare_model(runner), 'distiller', None)
        known = list(getattr(distiller, 'loss_forward_mappings', ()))
        for name in self.schedules:
            if name not in known:
                raise ValueError(
                    f'LossScheduleHook: schedules[{name!r}] is no distillation loss of this model; '
                    + (f'nearest: {nearest_names(name, known)}' if known else 'it has none')
                )

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        distiller = bare_model(runner).distiller
        factors = {name: s.factor(runner.iter) for name, s in self.schedules.items()}
        for name, factor in factors.items():
            if factor == 0 and distiller.loss_factors.get(name) != 0:
                MMLogger.get_current_instance().info(f'iteration {runner.iter}: {name} is stopped')
            runner.message_hub.update_scalar(f'train/factor/{name_for_log(name) or name}', factor)
        distiller.loss_factors.update(factors)
