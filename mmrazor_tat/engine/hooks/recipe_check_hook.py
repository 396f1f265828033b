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
        ValueError: the training data has other classes than the network's decode head.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        self._check_batch(runner)
        self._check_classes(runner)

    def _check_batch(self, runner) -> None:
        settings = runner.cfg.get('auto_scale_lr') or {}
        meant = settings.get('base_batch_size')
        if not meant or settings.get('enable'):
            return
        processes, images = get_world_size(), runner.train_dataloader.batch_sampler.batch_size
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        batch = processes * images * steps
        if batch == meant:
            return
        lr = runner.cfg.optim_wrapper.optimizer.lr
        of_steps = f' x {steps} accumulated iterations' if steps > 1 else ''
        MMLogger.get_current_instance().warning(
            f'a batch of {batch} ({processes} process{"es" if processes > 1 else ""} x {images} '
            f'images{of_steps}), but the learning rate {lr:g} is meant for {meant}. Scaled '
            f'linearly it would be {lr * batch / meant:g}: add --auto-scale-lr'
        )

    def _check_classes(self, runner) -> None:
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes')
        model = bare_model(runner)
        student = getattr(model, 'student', model)
        if classes is None:
            return
        for name in ('decode_head', 'auxiliary_head'):
            heads = getattr(student, name, None)
            for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
                width = getattr(head, 'num_classes', None)
                if width not in (None, len(classes)):
                    few = ', '.join(classes[:3])
                    raise ValueError(
                        f'the training data has {len(classes)} classes ({few}, ...), '
                        f'{name}.num_classes is {width}: set it to {len(classes)}, or choose the '
                        'data that the head is meant for'
                    )
