"""What a config promises, held against what is about to be trained."""

from dataclasses import replace

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS
from torch import nn

from ..batch import Batch
from ..evaluation import bare_model
from ..processes import refuse_sharded, unsynchronised_norms
from ..versions import versions

_HEADS = ('decode_head', 'auxiliary_head', 'head')  # the last is mmpretrain's
_LAUNCH = '{} processes (torchrun, with --launcher pytorch)'


@HOOKS.register_module()
class RecipeCheckHook(Hook):
    """Check the batch and the classes before the first iteration.

    The batch of all processes together is compared with ``auto_scale_lr.base_batch_size``, what the
    learning rate is meant for: another one gives a warning that names the scaled learning rate,
    unless ``--auto-scale-lr`` has applied it. With several processes the log says which batch norms
    of connectors and losses are not synchronised.

    Raises:
        ValueError: the training or validation data has other classes than the network's heads, a
            batch will be too small for a loss that compares its images, or the model is wrapped by
            FSDP.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        refuse_sharded(runner.model)

    def before_train(self, runner) -> None:
        # For reports: mmengine's log of the environment does not know our packages.
        runner.message_hub.update_info('versions', versions())
        self._check_batch(runner)
        self._check_classes(runner)
        self._check_smallest_batch(runner)
        self._name_unsynchronised_norms(runner)

    def _name_unsynchronised_norms(self, runner) -> None:
        names = unsynchronised_norms(bare_model(runner)) if get_world_size() > 1 else []
        if names:
            MMLogger.get_current_instance().info(
                f'batch norms of the distiller ({", ".join(names)}) take the statistics of each '
                "process's own images, while those of the student are synchronised; "
                '--cfg-options sync_bn=torch synchronises them too'
            )

    def _check_batch(self, runner) -> None:
        batch = Batch.of(runner.cfg, get_world_size())
        images = getattr(runner.train_dataloader.batch_sampler, 'batch_size', None)
        if batch is None or images is None:  # an own sampler of batches
            return
        batch = replace(  # what really runs
            batch,
            images=images,
            accumulated=getattr(runner.optim_wrapper, '_accumulative_counts', 1),
        )
        if not batch.fits:
            MMLogger.get_current_instance().warning(batch.complaint(_LAUNCH))

    def _check_smallest_batch(self, runner) -> None:
        """A loss that compares the images of a batch would end the training at a small one."""
        losses = getattr(getattr(bare_model(runner), 'distiller', None), 'distill_losses', {})
        comparing = {
            name: of.least_images for name, of in losses.items() if hasattr(of, 'least_images')
        }
        if not comparing:
            return
        loader = runner.train_dataloader
        size, sampler = getattr(loader.batch_sampler, 'batch_size', None), loader.sampler
        if size is None:
            return
        is_endless = isinstance(sampler, InfiniteSampler)
        last = 0 if is_endless or loader.batch_sampler.drop_last else len(sampler) % size
        smallest = last or size
        for name, least in comparing.items():
            if smallest < least:
                of_epoch = '' if smallest == size else ' (the last of an epoch)'
                raise ValueError(
                    f"distill_losses['{name}'] compares the images of a batch and needs {least}, "
                    f'train_dataloader gives batches of {smallest}{of_epoch} to a process: set '
                    'train_dataloader.'
                    + (f'batch_size to {least} or more' if smallest == size else 'drop_last=True')
                )

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
