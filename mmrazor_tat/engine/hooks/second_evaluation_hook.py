"""Evaluation of the same images in a second way."""

import copy

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmrazor.registry import HOOKS


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
        self.pipeline = pipeline
        self._loaders: dict = {}

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        self._evaluate(runner, metrics, 'val')

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        self._evaluate(runner, metrics, 'test')

    @torch.no_grad()
    def _evaluate(self, runner, metrics: dict, mode: str) -> None:
        if mode not in self._loaders:
            cfg = copy.deepcopy(runner.cfg[f'{mode}_dataloader'])
            cfg.dataset.pipeline = self.pipeline
            self._loaders[mode] = Runner.build_dataloader(cfg, seed=runner.seed)
        loader = self._loaders[mode]
        evaluator = Evaluator(copy.deepcopy(runner.cfg[f'{mode}_evaluator']))
        evaluator.dataset_meta = loader.dataset.metainfo
        runner.model.eval()
        for batch in loader:
            samples = getattr(runner.model, f'{mode}_step')(batch)
            evaluator.process(data_samples=samples, data_batch=batch)
        second = evaluator.evaluate(len(loader.dataset))
        metrics.update({f'{self.prefix}/{name}': value for name, value in second.items()})
