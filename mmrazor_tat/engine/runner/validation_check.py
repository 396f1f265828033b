"""What the first validation will need, tried with one image before the first iteration."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import Runner, ValLoop
from mmengine.runner.amp import autocast

from ...utils.errors import UserError, naming, one_line, said
from ...utils.networks import quiet

# Hooks and metrics of others may give anything, and are not tried: they may write to a file.
_KNOWN = ('mmengine', 'mmseg', 'mmpretrain', 'mmrazor_tat')


def check_validation(runner: Runner) -> None:
    """Validate one image, and hold the names of the metrics against the hooks that read them.

    Raises:
        UserError: the validation cannot be run or scored, or a hook (``save_best``, ``monitor``)
            waits for a metric that it does not give: mmengine would end the run there.
    """
    wanted = list(_wanted(runner))
    if runner.val_loop is None:
        for setting, metric, _ in wanted:
            runner.logger.warning(f'{setting}={metric!r}, but the config has no validation')
        return
    metrics = _validate_one(runner)
    if not metrics:  # nothing is scored, or one image does not tell
        return
    given = ', '.join(map(repr, metrics))
    prefixes = ['', *(of for hook in runner.hooks for of in getattr(hook, 'metric_prefixes', ()))]
    known = {prefix + metric for prefix in prefixes for metric in metrics}
    others = [type(hook).__name__ for hook in runner.hooks if _is_own(type(hook).after_val_epoch)]
    others += [type(of).__name__ for of in runner.val_loop.evaluator.metrics if not _can_try(of)]
    for setting, metric, ends_the_run in wanted:
        if metric in known:
            continue
        text = f'{setting}={metric!r}, but the validation gives {given}'
        if ends_the_run and not others:
            raise UserError(f'{text}: set it to one of these')
        adding = f'; {" and ".join(others)} may add to them' if others else ''
        runner.logger.warning(text + adding)


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def _validate_one(runner: Runner) -> dict:
    """The metrics of one image; empty where they cannot be known."""
    loop, model = runner.val_loop, runner.model
    is_known = isinstance(loop, ValLoop) and type(loop.evaluator) is Evaluator
    if not is_known or not len(loop.dataloader.dataset):
        return {}
    loader = loop.dataloader
    evaluator = Evaluator([copy.deepcopy(of) for of in loop.evaluator.metrics if _can_try(of)])
    evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
    batch = loader.collate_fn([loader.dataset[get_rank() % len(loader.dataset)]])
    is_training = model.training
    model.eval()
    try:
        with naming('the validation cannot be run'), autocast(enabled=loop.fp16):
            samples = model.val_step(batch)
    finally:
        model.train(is_training)
    names = ', '.join(type(metric).__name__ for metric in evaluator.metrics)
    try:
        evaluator.process(data_samples=samples, data_batch=batch)
    except Exception as error:
        first = (batch.get('data_samples') or [None])[0]
        is_unlabelled = first is not None and not hasattr(first, 'gt_sem_seg')
        hint = ' (its images have no labels: no LoadAnnotations in the pipeline?)' * is_unlabelled
        text = f'val_evaluator ({names}) cannot score what val_dataloader gives: {said(error)}'
        raise UserError(one_line(text) + hint) from error
    try:
        with quiet():  # a table of one image would puzzle
            return evaluator.evaluate(min(get_world_size(), len(loader.dataset)))
    except (Exception, SystemExit) as error:  # the scripts of Cityscapes exit
        if names == 'IoUMetric':
            raise UserError(f'val_evaluator ({names}) cannot score: {said(error)}') from error
        unknown = f'{names} cannot be tried with one image: {said(error)}'
    runner.logger.warning(unknown)
    return {}


def _wanted(runner: Runner) -> Iterator[tuple[str, str, bool]]:
    """(setting, metric, whether the run would end) of what waits for a metric of the validation."""
    for hook in runner.hooks:
        name = type(hook).__name__
        best = getattr(hook, 'save_best', None)
        for metric in best if isinstance(best, (list, tuple)) else [best]:
            if isinstance(metric, str) and metric != 'auto':
                yield f'{name}: save_best', metric, isinstance(hook, CheckpointHook)
        if isinstance(hook, EarlyStoppingHook):
            how = '' if hook.strict else 'not strict '
            yield f'{how}{name}: monitor', hook.monitor, hook.strict
    schedulers = runner.param_schedulers
    for scheduler in schedulers if isinstance(schedulers, list) else ():
        if isinstance(metric := getattr(scheduler, 'monitor', None), str):
            yield f'{type(scheduler).__name__}: monitor', metric, True


def _is_own(part: Any) -> bool:
    """Whether a class or a method is of none of the packages that are known."""
    return part.__module__.split('.')[0] not in _KNOWN


def _can_try(metric: BaseMetric) -> bool:
    """Whether to score one image writes nothing and says something."""
    writes = any(getattr(metric, name, None) for name in ('output_dir', 'out_file_path'))
    return not _is_own(type(metric)) and not writes
