"""Evaluating a model beside the validation that the config sets."""

import copy
from collections.abc import Callable
from typing import Any, Optional

import torch
from mmengine import Config
from mmengine.dist import get_world_size
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader


def bare_model(runner: Runner) -> nn.Module:
    """The runner's model without DistributedDataParallel around it."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def trained_network(runner: Runner) -> nn.Module:
    """The network that is trained: of a distillation the student."""
    model = bare_model(runner)
    return getattr(model, 'student', model)


def build_loader(runner: Runner, mode: str, pipeline: Optional[list[dict]] = None) -> DataLoader:
    """A second data loader of a split, 'val' or 'test', maybe with other transforms."""
    cfg = copy.deepcopy(runner.cfg[f'{mode}_dataloader'])
    if pipeline is not None:
        cfg.dataset.pipeline = pipeline
    return runner.build_dataloader(cfg, seed=runner.seed)


@torch.no_grad()
@torch.random.fork_rng(devices=[])  # a data loader draws a seed: training goes on as without it
def evaluate(
    runner: Runner,
    mode: str,
    loader: DataLoader,
    step: Callable[[Any], list],
    num_images: Optional[int] = None,
) -> tuple[dict[str, float], int]:
    """Metrics of the predictions that ``step`` (as ``val_step``) makes of the batches of
    ``loader``, by a new evaluator of the split ``mode``, and of how many images they are; it stops
    with the batch that has the ``num_images``-th, all processes together."""
    evaluator = Evaluator(copy.deepcopy(runner.cfg[f'{mode}_evaluator']))
    evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
    processes, seen = get_world_size(), 0
    for batch in loader:
        samples = step(batch)
        evaluator.process(data_samples=samples, data_batch=batch)
        seen += len(samples)
        if num_images is not None and seen * processes >= num_images:
            break
    count = min(seen * processes, len(loader.dataset))
    return evaluator.evaluate(count), count


def has_labels(cfg: Config, split: str = 'test') -> Optional[bool]:
    """Whether the samples of a segmentation split have labels, by its first one.

    None where that cannot be told: no data, or data that cannot be read.
    """
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    try:
        dataset = DATASETS.build(copy.deepcopy(cfg[f'{split}_dataloader'].dataset))
        samples = dataset[0]['data_samples']
        sample = samples[0] if isinstance(samples, list) else samples  # of TestTimeAug
        # Of a depth it is gt_depth_map.
        return any(name.startswith('gt_') for name in sample.all_keys())
    except Exception:  # whatever it is, the Runner will say it
        return None
