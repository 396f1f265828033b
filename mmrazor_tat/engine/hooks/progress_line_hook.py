"""One line of progress where the whole log would be too much."""

from typing import Optional

from mmengine.hooks import Hook
from mmrazor.registry import HOOKS


@HOOKS.register_module()
class ProgressLineHook(Hook):
    """Print iteration, losses and time left every ``interval`` iterations.

    For runs whose logger is quiet (``log_level='ERROR'``), such as the demo.

    Args:
        name: what is being trained; begins the line.
        interval: iterations between two lines.
    """

    priority = 'VERY_LOW'

    def __init__(self, name: str, interval: int = 50) -> None:
        self.name = name
        self.interval = interval

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: Optional[dict] = None
    ) -> None:
        if not (self.every_n_train_iters(runner, self.interval) or runner.iter + 1 == 1):
            return
        tag, _ = runner.log_processor.get_log_after_iter(runner, batch_idx, 'train')
        losses = '  '.join(f'{key} {value:.3f}' for key, value in tag.items() if 'loss' in key)
        left = runner.message_hub.get_info('eta', 0)
        print(
            f'{self.name:12s} {runner.iter + 1:4d}/{runner.max_iters}  {losses}  '
            f'{int(left) // 60}:{int(left) % 60:02d} left',
            flush=True,
        )
