"""Train small models of every method for five steps, in one process or as one of several.

As a script: ``methods.py RESULT NAME...`` in a process that a launcher started; each process writes
``RESULT.RANK``. On every step the processes together see the batch that a single one sees.
"""

import os
import sys
from types import SimpleNamespace

import torch
from mmengine import Config
from mmengine.dist import get_dist_info, init_dist
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import (
    BaseModel,
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    revert_sync_batchnorm,
)
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import mmrazor_tat
from mmrazor_tat.engine.hooks import GradientBalanceHook
from mmrazor_tat.models.losses import ContrastiveDistillLoss, SCKDLoss

STEPS, BATCH, CLASSES, SIDE = 5, 4, 7, 32


def segmentation(name: str) -> BaseModel:
    """A demo's recipe, for TaT with an option."""
    from mmrazor.registry import MODELS
    from mmseg.registry import MODELS as SEGMENTORS

    DefaultScope.get_instance('methods', scope_name='mmseg')
    recipe, _, option = name.partition('+')
    cfg = Config.fromfile(mmrazor_tat.config_path(f'small/demo/{recipe}_student.py')).model
    for network in (cfg.architecture, cfg.teacher):
        network.pop('data_preprocessor')
        network.decode_head.dropout_ratio = 0
    if recipe == 'tat':
        loss = cfg.distiller.distill_losses.loss_tat
        loss.views = [dict(type='patch', grid=(4, 4), groups=4), dict(type='anchor', kernel=2)]
        loss.lean = option != 'composed'
        if option == 'bn':
            loss.norm_cfg = dict(type='BN')
    cfg.teacher = SEGMENTORS.build(cfg.teacher)
    return MODELS.build({**cfg, 'probe_size': (SIDE, SIDE)})


def segmentation_batch(generator: torch.Generator) -> dict:
    from mmseg.structures import SegDataSample

    labels = torch.randint(0, CLASSES, (BATCH, 1, SIDE, SIDE), generator=generator)
    shape = dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=x), metainfo=shape) for x in labels]
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return dict(inputs=images, data_samples=samples)


class Classifier(BaseModel):
    """A student and a teacher of one layer each, under a loss on their embeddings or logits."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.student = nn.Linear(6, CLASSES)
        self.teacher = nn.Linear(6, CLASSES).requires_grad_(False)
        if name == 'crd':
            settings = dict(s_channels=CLASSES, t_channels=CLASSES, dim=5, num_negatives=6)
            self.criterion = ContrastiveDistillLoss(num_samples=30, **settings)
            self.criterion.draw = self.draw
        else:
            self.criterion = SCKDLoss()

    @staticmethod
    def draw(index: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Negatives by the image, as random numbers differ between processes."""
        return (index[:, None] + torch.arange(1, 7)) % 30

    def forward(self, inputs, data_samples=None, mode='loss'):
        student, teacher = self.student(inputs), self.teacher(inputs)
        label = torch.stack([sample.gt_label for sample in data_samples])
        return dict(
            loss_task=nn.functional.cross_entropy(student, label),
            loss_distill=self.criterion(student, teacher, data_samples),
        )


def classification_batch(generator: torch.Generator) -> dict:
    images = torch.randn(BATCH, 6, generator=generator, dtype=torch.float64)
    index = torch.randperm(30, generator=generator)[:BATCH].tolist()
    samples = [SimpleNamespace(sample_idx=i, gt_label=torch.tensor(i % CLASSES)) for i in index]
    return dict(inputs=images, data_samples=samples)


def train(name: str) -> dict:
    """Losses, the first step's gradients and the last one's state, and what had no gradient."""
    rank, processes = get_dist_info()
    is_classifier = name in ('crd', 'sckd')
    torch.manual_seed(0)
    model = (Classifier if is_classifier else segmentation)(name).double()
    if processes == 1:
        model = revert_sync_batchnorm(model)
    else:  # as the runner does it with sync_bn='torch'
        model = convert_sync_batchnorm(model, 'torch')
    model.train()  # as the training loop; the conversion leaves the teacher's norms in training
    if name.endswith('+frozen'):  # neither learns nor counts
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval().requires_grad_(False)
    bare = model
    if processes > 1:
        torch.manual_seed(rank)  # nothing may depend on it
        model = MMDistributedDataParallel(
            model, device_ids=None, broadcast_buffers=False, find_unused_parameters=False
        )
    learnt = {key: p for key, p in bare.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(learnt.values(), lr=0.001, momentum=0.9)
    gradients, without = {}, set()

    @optimizer.register_step_pre_hook
    def look(*_):
        without.update(key for key, p in learnt.items() if p.grad is None)
        if not gradients:
            gradients.update({k: p.grad.clone() for k, p in learnt.items() if p.grad is not None})

    wrapper = OptimWrapper(optimizer)
    generator = torch.Generator().manual_seed(1)
    losses = []
    hook, runner = balance(model) if name.endswith('+balanced') else (Hook(), SimpleNamespace())
    hook.before_train(runner)
    for runner.iter in range(STEPS):
        batch = (classification_batch if is_classifier else segmentation_batch)(generator)
        batch = {key: value[rank::processes] for key, value in batch.items()}
        hook.before_train_iter(runner, 0)
        losses.append(model.train_step(batch, wrapper)['loss'].item())
        hook.after_train_iter(runner, 0)
    found = dict(losses=losses, gradients=gradients, state=bare.state_dict(), without=without)
    if hasattr(hook, 'state'):
        factors, own = bare.distiller.balance_factors, bare.loss_gradients['feature']['loss_tat']
        found.update(factors=factors, share=own.share)
    return found


def balance(model) -> tuple[GradientBalanceHook, SimpleNamespace]:
    """The hook, and what it needs of a runner."""
    hub = MessageHub.get_instance('balance')
    runner = SimpleNamespace(model=model, message_hub=hub, _resume=False)
    return GradientBalanceHook(0.3, interval=1, warmup=1, momentum=0.5), runner


def main() -> None:
    init_dist('pytorch', backend='gloo', timeout=120)
    result, *names = sys.argv[1:]
    results = {name: train(name) for name in names}
    torch.save(results, f'{result}.{os.environ["RANK"]}')


if __name__ == '__main__':
    main()
