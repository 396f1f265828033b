"""What a config promises, held against what is about to be trained."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmrazor.registry import HOOKS
from torch import nn

from ...models.algorithms.checks import check_loss_weights
from ...utils.batch import Batch
from ...utils.environment import refuse_sharded, unsynchronised_norms, versions
from ...utils.errors import UserError
from ..runner.evaluation import bare_model, trained_network
from ..runner.label_ids import LabelCount, refused_by_head, refused_ids
from ..runner.validation_check import check_validation

_HEADS = ('decode_head', 'auxiliary_head', 'head')  # the last is mmpretrain's
_LAUNCH = '{} processes (torchrun, with --launcher pytorch)'


@HOOKS.register_module()
class RecipeCheckHook(Hook):
    """Check the batch, the classes and the first validation before the first iteration.

    A batch of all processes other than ``auto_scale_lr.base_batch_size``, what the learning rate is
    meant for, gives a warning that names the scaled learning rate. With several processes the log
    says which batch norms of connectors and losses are not synchronised. One image is validated, so
    that what the first validation would end with is known now. After the first 100 images the log
    says which classes occur in no label and what share of the pixels is ignored.

    Raises:
        ValueError: the training or validation data has other classes than the network's heads, or
            ids that their losses cannot take; a batch will be too small for a loss that compares
            its images; the model is wrapped by FSDP; or the validation cannot be run, or does not
            give the metric that a hook waits for.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        refuse_sharded(runner.model)

    def before_train(self, runner) -> None:
        # For reports: mmengine's log of the environment does not know our packages.
        runner.message_hub.update_info('versions', versions())
        _check_batch(runner)
        _check_classes(runner)
        check_loss_weights(model=trained_network(runner))
        _check_smallest_batch(runner)
        _name_unsynchronised_norms(runner)
        self._check_label_ids(runner)
        check_validation(runner)

    def before_train_iter(self, runner, batch_idx: int, data_batch: Optional[dict] = None) -> None:
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
        if not samples or not self._count:
            return
        if self._padding:
            self._refuse_padding(bare_model(runner).data_preprocessor, data_batch['inputs'])
        if self._count.left > 0:
            self._count.add(samples)
            if self._count.left <= 0:
                self._say_labels(runner)

    def after_train(self, runner) -> None:
        if self._count and self._count.left > 0 and self._count.seen:
            self._say_labels(runner)

    def _check_label_ids(self, runner) -> None:
        """Try what the data may hold: ids of classes now, that of padding where images are."""
        self._count, self._padding = None, ''
        classes = _classes(runner.train_dataloader)
        pad = getattr(getattr(bare_model(runner), 'data_preprocessor', None), 'seg_pad_val', None)
        if classes is None or pad is None:  # no segmentation
            return
        self._count = LabelCount(classes)
        refused = refused_ids(trained_network(runner), [*range(len(classes)), pad])
        for index, name in enumerate(classes):
            if index in refused:
                raise ValueError(f'class {index} ({name!r}) of the training data: {refused[index]}')
        self._padding = refused.get(pad, '')

    def _refuse_padding(self, preprocessor: Any, images: list) -> None:
        """Raise ValueError where the labels of a batch will be padded with an id of no use."""
        sizes = {tuple(image.shape[-2:]) for image in images}
        whole, divisor = (getattr(preprocessor, n, None) for n in ('size', 'size_divisor'))
        target = [max(side) for side in zip(*sizes)]
        if whole is not None:
            target = [max(pair) for pair in zip(target, whole)]
        elif divisor is not None:
            target = [-(-side // divisor) * divisor for side in target]
        smaller = sorted(size for size in sizes if list(size) != target)
        if smaller:
            raise UserError(
                f'images of {smaller[0][0]} x {smaller[0][1]} are padded to '
                f'{target[0]} x {target[1]}, and their labels with seg_pad_val='
                f'{preprocessor.seg_pad_val}: {self._padding}. Set data_preprocessor.seg_pad_val '
                "to the head's ignore_index"
            )

    def _say_labels(self, runner) -> None:
        text = str(self._count)
        runner.message_hub.update_info('labels', text)
        if self._count.is_odd:
            runner.logger.warning(
                f'{text}. Do the ids of the labels mean the classes of the data set (a mask of 0 '
                'and 255 has no class 1), and is its list of classes the right one?'
            )
        else:
            runner.logger.info(text)


def _name_unsynchronised_norms(runner) -> None:
    names = unsynchronised_norms(bare_model(runner)) if get_world_size() > 1 else []
    if names:
        runner.logger.info(
            f'batch norms of the distiller ({", ".join(names)}) take the statistics of each '
            "process's own images, while those of the student are synchronised; "
            '--cfg-options sync_bn=torch synchronises them too'
        )


def _check_batch(runner) -> None:
    batch = Batch.of(runner.cfg, get_world_size())
    images = getattr(runner.train_dataloader.batch_sampler, 'batch_size', None)
    if batch is None or images is None:  # an own sampler of batches
        return
    accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    batch = replace(batch, images=images, accumulated=accumulated)  # what really runs
    if not batch.fits:
        runner.logger.warning(batch.complaint(_LAUNCH))


def _check_smallest_batch(runner) -> None:
    """A loss that compares the images of a batch would end the training at a small one."""
    losses = getattr(getattr(bare_model(runner), 'distiller', None), 'distill_losses', {})
    least = {name: of.least_images for name, of in losses.items() if hasattr(of, 'least_images')}
    loader = runner.train_dataloader
    size = getattr(loader.batch_sampler, 'batch_size', None)
    if not least or size is None:
        return
    is_endless = isinstance(loader.sampler, InfiniteSampler)
    has_rest = not is_endless and not loader.batch_sampler.drop_last
    smallest = (len(loader.sampler) % size if has_rest else 0) or size
    for name, needed in least.items():
        if smallest < needed:
            is_rest = smallest != size
            raise ValueError(
                f"distill_losses['{name}'] compares the images of a batch and needs {needed}, "
                f'train_dataloader gives batches of {smallest}'
                f'{" (the last of an epoch)" * is_rest} to a process: set train_dataloader.'
                + ('drop_last=True' if is_rest else f'batch_size to {needed} or more')
            )


def _check_classes(runner) -> None:
    loaders = dict(training=runner.train_dataloader)
    if runner.cfg.get('val_dataloader') is not None:
        loaders['validation'] = runner.val_dataloader
    for what, loader in loaders.items():
        classes = _classes(loader)
        for name in _HEADS if classes is not None else ():
            heads = getattr(trained_network(runner), name, None)
            for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
                # One channel is a binary head's, or a depth; an auxiliary head may have a task
                # of its own, e.g. the contours of STDC's. Their ids are tried.
                width = getattr(head, 'num_classes', None)
                has_own_task = (
                    name == 'auxiliary_head'
                    and (width or 0) < len(classes)
                    and refused_by_head(head, range(len(classes))) == {}
                )
                if width in (None, 1, len(classes)) or has_own_task:
                    continue
                advice = f'set it to {len(classes)}, or choose' if what == 'training' else 'choose'
                raise ValueError(
                    f'the {what} data has {len(classes)} classes ({", ".join(classes[:3])}, ...), '
                    f'{name}.num_classes is {width}: {advice} the data that the head is meant for'
                )


def _classes(loader: Any) -> Optional[Sequence[str]]:
    """Of a loader's data set; None where it does not say."""
    return (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
