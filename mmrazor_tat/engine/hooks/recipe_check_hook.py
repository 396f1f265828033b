"""What a config promises, held against what is about to be trained."""

from dataclasses import replace

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS
from torch import nn

from ..batch import Batch
from ..evaluation import bare_model
from ..versions import versions

_HEADS = ('decode_head', 'auxiliary_head', 'head')  # the last is mmpretrain's
_LAUNCH = '{} processes (torchrun, with --launcher pytorch)'


@HOOKS.register_module()
class RecipeCheckHook(Hook):
    """Check the batch and the classes before the first iteration.

    The batch of all processes together is compared with ``auto_scale_lr.base_batch_size``, what the
    learning rate is meant for: another one gives a warning that names the scaled learning rate,
    unless ``--auto-scale-lr`` has applied it.

    Raises:
        ValueError: the training or validation data has other classes than the network's heads.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        # For reports: mmengine's log of the environment does not know our packages.
        runner.message_hub.update_info('versions', versions())
        self._check_batch(runner)
        self._check_classes(runner)

    def _check_batch(self, runner) -> None:
        batch = Batch.of(runner.cfg, get_world_size())
        if batch is None:
            return
        batch = replace(  # what really runs
            batch,
            images=runner.train_dataloader.batch_sampler.batch_size,
            accumulated=getattr(runner.optim_wrapper, '_accumulative_counts', 1),
        )
        if not batch.fits:
            MMLogger.get_current_instance().warning(batch.complaint(_LAUNCH))

    def _check_classes(self, runner) -> None:
        loaders = dict(training=runner.train_dataloader)
        if runner.cfg.get('val_dataloader') is not None:
            loaders['validation'] = runner.val_dataloader
        model = bare_model(runner)
        student = getattr(model, 'student', model)
        for what, loader in loaders.items():
            classes = getattr(loader.dataset, 'metainfo', {}).get('classes')
            if classes is None:
                continue
            for name in _HEADS:
                heads = getattr(student, name, None)
                for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
                    width = getattr(head, 'num_classes', None)
                    if width not in (None, len(classes)):
                        few = ', '.join(classes[:3])
                        raise ValueError(
                            f'the {what} data has {len(classes)} classes ({few}, ...), '
                            f'{name}.num_classes is {width}: set it to {len(classes)}, or choose '
                            'the data that the head is meant for'
                        )
