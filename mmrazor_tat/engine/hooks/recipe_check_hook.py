"""What a config promises, held against what is about to be trained."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS
from torch import nn

from ..evaluation import bare_model


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
        self._check_batch(runner)
        self._check_classes(runner)

    def _check_batch(self, runner) -> None:
        settings = runner.cfg.get('auto_scale_lr') or {}
        meant = settings.get('base_batch_size')
        if not meant:
            return
        processes, images = get_world_size(), runner.train_dataloader.batch_sampler.batch_size
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        batch = processes * images * steps
        is_scaled = settings.get('enable')
        # mmengine scales by the batch of one iteration, and knows nothing of the accumulated ones.
        if batch == meant and not (is_scaled and steps > 1) or is_scaled and steps == 1:
            return
        lr = runner.cfg.optim_wrapper.optimizer.lr
        of_steps = f' x {steps} accumulated iterations' if steps > 1 else ''
        advice = 'add --auto-scale-lr'
        if steps > 1:
            advice = (
                f'set optim_wrapper.optimizer.lr={lr * batch / meant:g} (--auto-scale-lr leaves '
                'the accumulated iterations out of account'
                + (', and has been given)' if is_scaled else ')')
            )
        MMLogger.get_current_instance().warning(
            f'a batch of {batch} ({processes} process{"es" if processes > 1 else ""} x {images} '
            f'images{of_steps}), but the learning rate {lr:g} is meant for {meant}. Scaled '
            f'linearly it would be {lr * batch / meant:g}: {advice}'
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
            for name in ('decode_head', 'auxiliary_head'):
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
