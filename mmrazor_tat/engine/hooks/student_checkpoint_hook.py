"""The student alone, ready to ship, while it is trained."""

from numbers import Number
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop
from mmrazor.registry import HOOKS

from ...compat.checkpoints import read_checkpoint
from ...utils.files import save_atomically, write_atomically
from ...utils.networks import student_weights
from ...utils.work_dir import step_of
from ..runner.evaluation import bare_model

_CONFIG, _BEST = 'student.py', 'student_best.pth'


@HOOKS.register_module()
class StudentCheckpointHook(Hook):
    """Write checkpoints of the student alone that ``mmseg.apis.init_model`` takes at once.

    .. code-block:: python

        default_hooks = dict(student_checkpoint=dict(
            type='mmrazor.StudentCheckpointHook', interval=4000, save_best='mIoU'))

    The folder gets 'student.py', the recipe's config without its distillation, then
    'student_iter_N.pth' (or 'student_epoch_N.pth') and 'student_best.pth', without optimizer,
    teacher and distiller. A run cannot be resumed from them: mmengine's ``CheckpointHook`` is for
    that, and may have a long interval. With an ``EMAHook`` the averaged weights are written, those
    that the validation uses. Of a plain model it is the model itself.

    Args:
        interval: iterations, or epochs, between two of them; the last one of the training is
            always written. None: only the best.
        by_epoch: whether ``interval`` counts epochs; None: as the training loop counts.
        save_best: the metric by whose best value 'student_best.pth' is chosen, e.g. 'mIoU'; None:
            there is none.
        rule: 'greater' or 'less', which value is better; None: mmengine's guess by the name.
        max_keep: how many of those by interval stay, the newest; -1: all.
        out_dir: the folder, seen from the current one; None: 'student' in the work dir.

    Raises:
        ValueError: nothing to write; a metric without a rule; before training, a config of which no
            plain one can be made. A metric that the validation does not give is warned of.
    """

    # After the averaging (EMAHook) and the hooks that give metrics.
    priority = 'LOW'

    def __init__(
        self,
        interval: Optional[int] = None,
        by_epoch: Optional[bool] = None,
        save_best: Optional[str] = None,
        rule: Optional[str] = None,
        max_keep: int = 1,
        out_dir: Optional[str] = None,
    ) -> None:
        if not interval and save_best is None:
            how = 'set interval=4000, save_best="mIoU", or both'
            raise ValueError(f'StudentCheckpointHook: nothing to write: {how}')
        self.interval, self.by_epoch = interval, by_epoch
        self.save_best, self.max_keep, self.out_dir = save_best, max_keep, out_dir
        # mmengine's: by rule or by the metric's name; raises ValueError.
        rules = CheckpointHook(save_best=save_best, rule=rule)
        self._is_better = rules.is_better_than[save_best] if save_best else None

    def before_train(self, runner) -> None:
        # Here and below: an import of this package brings no export along.
        from ...export.plain_config import plain_config

        if self.by_epoch is None:
            self.by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if self.save_best is not None and runner.val_loop is None:
            raise ValueError(
                f'StudentCheckpointHook: save_best={self.save_best!r}, but the config has no '
                'validation (val_cfg, val_dataloader, val_evaluator)'
            )
        self._folder = Path(self.out_dir or Path(runner.work_dir) / 'student')
        self._config_text = plain_config(runner.cfg)[0].pretty_text
        if is_main_process():
            write_atomically(self._folder / _CONFIG, self._config_text)
        self._best: Optional[float] = None
        path = self._folder / _BEST
        if self.save_best is not None and runner._resume and path.is_file():
            meta = read_checkpoint(str(path))['meta']
            if meta['iter'] <= runner.iter:  # a later one is found again
                self._best = (meta.get('metrics') or {}).get(self.save_best)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.by_epoch or not self.interval:
            return
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner):
            self._save_step(runner, iter=runner.iter + 1, epoch=runner.epoch)

    def after_train_epoch(self, runner) -> None:
        if not self.by_epoch or not self.interval:
            return
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._save_step(runner, iter=runner.iter, epoch=runner.epoch + 1)

    def after_val_epoch(self, runner, metrics: Optional[dict[str, float]] = None) -> None:
        if self.save_best is None or not hasattr(self, '_folder'):  # a validation without training
            return
        metrics = {k: float(v) for k, v in (metrics or {}).items() if isinstance(v, Number)}
        value = metrics.get(self.save_best)
        if value is None:
            # As mmengine's CheckpointHook: a training of days is not ended for it.
            runner.logger.warning(
                f'StudentCheckpointHook: save_best={self.save_best!r}, but the validation gives '
                f'{", ".join(metrics) or "no metrics"}: {_BEST} is not written'
            )
        elif value == value and (self._best is None or self._is_better(value, self._best)):
            self._best = value
            progress = dict(iter=runner.iter, epoch=runner.epoch)
            self._save(runner, _BEST, **progress, metrics=metrics, save_best=self.save_best)
            runner.logger.info(
                f'The best student so far, {self.save_best} {value:.4f}, is {self._folder / _BEST}'
            )

    def _save_step(self, runner, **progress: int) -> None:
        kind = 'epoch' if self.by_epoch else 'iter'
        self._save(runner, f'student_{kind}_{progress[kind]}.pth', **progress)
        if self.max_keep > 0 and is_main_process():
            found = sorted(self._folder.glob(f'student_{kind}_*.pth'), key=step_of)
            own = [path for path in found if step_of(path) <= progress[kind]]
            for old in own[: -self.max_keep]:
                old.unlink()

    def _save(self, runner, name: str, **meta: Any) -> None:
        if not is_main_process():
            return
        from ...export.checkpoint import student_checkpoint

        model, dataset = bare_model(runner), runner.train_dataloader.dataset
        # As the Runner's own checkpoints are made: the EMAHook puts the averaged weights in here.
        checkpoint = dict(meta={}, state_dict=model.state_dict())
        checkpoint['message_hub'] = runner.message_hub.state_dict()
        runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        weights = checkpoint['state_dict']
        if hasattr(model, 'architecture'):
            weights = student_weights(weights)
        content = student_checkpoint(weights, self._config_text, dataset.metainfo, **meta)
        save_atomically(content, self._folder / name)
