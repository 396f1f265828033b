"""Evaluation of the same images in a second way."""

from typing import Optional

from mmengine.hooks import Hook
from mmrazor.registry import HOOKS

from ..runner.evaluation import build_loader, evaluate


@HOOKS.register_module()
class SecondEvaluationHook(Hook):
    """Evaluate the validation (or test) images through another pipeline as well.

    After the validation that the config sets, its data are evaluated once more with the pipeline of
    this hook, by an evaluator of the same config; the metrics join the others under a prefix, e.g.
    'squashed/mIoU', in the log and for ``save_best``.

    Args:
        prefix: of the metrics' names.
        pipeline: transforms of the data set in place of its own.
    """

    priority = 'HIGHEST'  # before the hooks that log the metrics and choose the best checkpoint

    def __init__(self, prefix: str, pipeline: list[dict]) -> None:
        self.prefix = prefix
        self.metric_prefixes = (f'{prefix}/',)  # of what it adds
        self.pipeline = pipeline
        self._loaders: dict = {}

    def after_val_epoch(self, runner, metrics: Optional[dict] = None) -> None:
        self._evaluate(runner, metrics, 'val')

    def after_test_epoch(self, runner, metrics: Optional[dict] = None) -> None:
        self._evaluate(runner, metrics, 'test')

    def _evaluate(self, runner, metrics: dict, mode: str) -> None:
        if mode not in self._loaders:
            self._loaders[mode] = build_loader(runner, mode, self.pipeline)
        runner.model.eval()
        step = getattr(runner.model, f'{mode}_step')
        second, _ = evaluate(runner, mode, self._loaders[mode], step)
        metrics.update({f'{self.prefix}/{name}': value for name, value in second.items()})
