"""The student alone, ready to ship, while it is trained."""

from collections.abc import Mapping
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
from ..runner.evaluation import bare_model

_CONFIG, _BEST = 'student.py', 'student_best.pth'
_BEST_VALUE, _KEPT = 'student_best_value', 'student_checkpoints'  # in the message hub


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
        ValueError: an argument that does not fit; before training, a config of which no plain one
            can be made. A metric that the validation does not give is warned of.
    """

    # After the averaging (EMAHook) and the hooks that give metrics, before the CheckpointHook,
    # whose checkpoint then knows the best value.
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
        if interval is None and save_best is None:
            raise ValueError(
                'StudentCheckpointHook: nothing to write: set interval=4000, save_best="mIoU", or '
                'both'
            )
        if interval is not None and not _is_count(interval):
            raise ValueError(
                'StudentCheckpointHook: interval must be a number of iterations or epochs, or '
                f'None, got {interval!r}'
            )
        if not (_is_count(max_keep) or max_keep == -1):
            raise ValueError(
                'StudentCheckpointHook: max_keep must be a number of checkpoints, or -1 for all, '
                f'got {max_keep!r}'
            )
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_best = save_best
        self.max_keep = max_keep
        self.out_dir = out_dir
        self._is_better = None if save_best is None else _comparison(save_best, rule)

    def before_train(self, runner) -> None:
        # Here and below: an import of this package brings no export along.
        from ...export.checkpoint import dataset_meta
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
        self._dataset_meta = dataset_meta(
            runner.cfg, dict(dataset_meta=getattr(runner.train_dataloader.dataset, 'metainfo', {}))
        )
        if is_main_process():
            write_atomically(self._folder / _CONFIG, self._config_text)
        hub = runner.message_hub
        self._best = hub.get_info(_BEST_VALUE)
        self._kept = list(hub.get_info(_KEPT) or [])
        if runner._resume:
            self._take_newer_best(runner)

    def after_train_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        if self.by_epoch or self.interval is None:
            return
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner):
            self._save_step(runner, iter=runner.iter + 1, epoch=runner.epoch)

    def after_train_epoch(self, runner) -> None:
        if not self.by_epoch or self.interval is None:
            return
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._save_step(runner, iter=runner.iter, epoch=runner.epoch + 1)

    def after_val_epoch(self, runner, metrics: Optional[dict[str, float]] = None) -> None:
        if self.save_best is None or not hasattr(self, '_folder'):  # a validation without training
            return
        if self.save_best not in (metrics or {}):
            # As mmengine's CheckpointHook: a training of days is not ended for it.
            runner.logger.warning(
                f'StudentCheckpointHook: save_best={self.save_best!r}, but the validation gives '
                + (', '.join(metrics) if metrics else 'no metrics')
                + f': {_BEST} is not written'
            )
            return
        value = float(metrics[self.save_best])
        if value != value or not (self._best is None or self._is_better(value, self._best)):
            return
        self._best = value
        runner.message_hub.update_info(_BEST_VALUE, value)
        progress = dict(iter=runner.iter, epoch=runner.epoch)
        self._save(runner, _BEST, **progress, metrics=_numbers(metrics), save_best=self.save_best)
        runner.logger.info(
            f'The best student so far, {self.save_best} {value:.4f}, is {self._folder / _BEST}'
        )

    def _save_step(self, runner, **progress: int) -> None:
        kind = 'epoch' if self.by_epoch else 'iter'
        name = f'student_{kind}_{progress[kind]}.pth'
        self._kept = [*(kept for kept in self._kept if kept != name), name]
        self._save(runner, name, **progress)
        if self.max_keep > 0:
            self._kept, gone = self._kept[-self.max_keep :], self._kept[: -self.max_keep]
            for old in gone if is_main_process() else ():
                (self._folder / old).unlink(missing_ok=True)
        runner.message_hub.update_info(_KEPT, self._kept)

    def _save(self, runner, name: str, **meta: Any) -> None:
        if not is_main_process():
            return
        from ...export.checkpoint import student_checkpoint

        model = bare_model(runner)
        # As the Runner's own checkpoints are made: the EMAHook puts the averaged weights in here.
        checkpoint = dict(
            meta={},
            state_dict=model.state_dict(),
            message_hub=runner.message_hub.state_dict(),
        )
        runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        weights = checkpoint['state_dict']
        if hasattr(model, 'architecture'):
            weights = student_weights(weights)
        save_atomically(
            student_checkpoint(weights, self._config_text, self._dataset_meta, **meta),
            self._folder / name,
        )

    def _take_newer_best(self, runner) -> None:
        """A validation comes after the iteration's checkpoint, which does not know its value.

        One that lies after the checkpoint is done again, and found again.
        """
        path = self._folder / _BEST
        if self.save_best is None or not path.is_file():
            return
        meta = read_checkpoint(str(path))['meta']
        value = meta['metrics'].get(self.save_best) if meta.get('metrics') else None
        if value is None or meta['iter'] > runner.iter:
            return
        if self._best is None or self._is_better(value, self._best):
            self._best = value
            runner.message_hub.update_info(_BEST_VALUE, value)


def _comparison(metric: str, rule: Optional[str]):
    """Whether the first value is better than the second; mmengine's, by rule or by name."""
    try:
        return CheckpointHook(save_best=metric, rule=rule).is_better_than[metric]
    except (AssertionError, KeyError, ValueError) as error:
        raise ValueError(
            f"StudentCheckpointHook: save_best={metric!r}, rule={rule!r}: save_best is a metric's "
            "name, and rule is 'greater' or 'less', which must be set where mmengine cannot tell "
            'by the name'
        ) from error


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, Number)}
