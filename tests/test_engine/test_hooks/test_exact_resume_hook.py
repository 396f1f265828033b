"""The validation that a killed run still owes, in mmengine's own Runner."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmrazor_tat.benchmark.execution.records import read_results


class Network(BaseModel):
    """One weight, which a step of training moves by 1."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, *inputs, mode='tensor'):
        return dict(loss=-self.weight) if mode == 'loss' else [self.weight.detach()]


class Weight(BaseMetric):
    """The weight itself."""

    def process(self, data_batch, data_samples):
        self.results += [sample.item() for sample in data_samples]

    def compute_metrics(self, results):
        return dict(mIoU=results[0])


@pytest.fixture
def train(tmp_path, monkeypatch):
    """A function that trains up to an iteration, or an epoch of two, resuming what is there."""
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)
    count = 0

    def train(until: int, by_epoch: bool = False) -> None:
        nonlocal count
        count += 1
        unit = 'epochs' if by_epoch else 'iters'
        interval = 1 if by_epoch else 2
        hooks = dict(
            checkpoint=dict(type='CheckpointHook', interval=interval, by_epoch=by_epoch),
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=by_epoch),
        )
        data = dict(dataset=list(range(2)), sampler=dict(type='DefaultSampler', shuffle=False))
        Runner(
            model=Network(),
            work_dir=str(tmp_path),
            train_dataloader=dict(batch_size=1, **data),
            val_dataloader=dict(batch_size=2, **data),
            train_cfg={'by_epoch': by_epoch, f'max_{unit}': until, 'val_interval': interval},
            val_cfg=dict(),
            val_evaluator=[Weight()],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)),
            default_hooks=hooks,
            custom_hooks=[dict(type='mmrazor.ExactResumeHook')],
            log_processor=dict(by_epoch=by_epoch),
            resume=True,
            log_level='ERROR',
            experiment_name=f'{tmp_path.name}_{count}',
        ).train()

    return train


def curve(tmp_path) -> list:
    return read_results(tmp_path, 'mIoU')['metrics']['mIoU']['curve']


def forget_validation(tmp_path, step: int) -> None:
    """As if the run had been killed between the checkpoint and the validation."""
    for path in tmp_path.glob('*/vis_data/scalars.json'):
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not ('mIoU' in line and f'"step": {step}' in line)]
        path.write_text(''.join(kept))


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_missing_validation_is_made_up_for(train, tmp_path, by_epoch):
    """Of the resumed weights, before training goes on; at the end nothing else is done."""
    first, second = (1, 2) if by_epoch else (2, 4)
    train(first, by_epoch)
    assert curve(tmp_path) == [(first, 2.0)]
    for forgotten in (first, second):
        forget_validation(tmp_path, forgotten)
        train(second, by_epoch)
        assert curve(tmp_path) == [(first, 2.0), (second, 4.0)]
