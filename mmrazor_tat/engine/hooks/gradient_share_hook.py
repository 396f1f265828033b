"""What each loss has to say at the features of the student."""

from typing import Optional

from mmengine.hooks import Hook
from mmrazor.registry import HOOKS

from ...models.distillers.records import name_for_log
from ...models.losses.base import check_count
from ..runner.evaluation import bare_model


@HOOKS.register_module()
class GradientShareHook(Hook):
    """Log each loss's share of the gradient at the student's records, to set weights by.

    Every ``interval`` iterations the log gets, for every record of the student that a distillation
    loss reads, 'grad_share/RECORDER/task' (the task losses together) and 'grad_share/RECORDER/NAME'
    for each distillation loss, e.g. 'tat' of 'loss_tat': the L2 norm of its gradient there, over
    the sum of all norms; together they are 1. Such an iteration differentiates each loss once more,
    back to the shallowest record. With several processes it is the share in the first one. Not for
    a student that is compiled: its graph cannot be differentiated twice.

    Args:
        interval: iterations between two measurements; the log shows the last one.

    Raises:
        ValueError: ``interval`` is no number of iterations; before training, a plain model.
    """

    def __init__(self, interval: int = 50) -> None:
        check_count('interval', interval)
        self.interval = interval

    def before_train(self, runner) -> None:
        if not hasattr(bare_model(runner), 'distiller'):
            raise ValueError(
                f'{type(self).__name__}: a {type(bare_model(runner)).__name__} has no distillation '
                'losses to compare; leave the hook out, or use it in a distillation recipe'
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        if self._is_due(runner):
            bare_model(runner).measures_gradients = True

    def after_train_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        if self._is_due(runner):
            model = bare_model(runner)
            for recorder, gradients in model.loss_gradients.items():
                for loss, gradient in gradients.items():
                    # Without 'loss' in the name: mmengine would log a mean over its window.
                    name = f'{recorder}/{name_for_log(loss) or "distill"}'
                    runner.message_hub.update_scalar(f'train/grad_share/{name}', gradient.share)
            model.measures_gradients = False

    def _is_due(self, runner) -> bool:
        return self.every_n_train_iters(runner, self.interval) or runner.iter == 0
