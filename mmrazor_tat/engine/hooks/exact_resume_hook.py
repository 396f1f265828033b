"""A run that is resumed goes on as if it had not been stopped."""

from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop
from mmrazor.registry import HOOKS

from ..runner import random_state
from ..runner.random_state import seed_generators

_VALIDATED, _IMAGES = 'validated_iter', 'images_per_iteration'  # in the message hub


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make what follows a checkpoint independent of whether the run was stopped there.

    On a CPU, or with deterministic kernels (``randomness.deterministic=True``), the losses and the
    weights of a resumed run are those of a run that was never stopped, bit by bit:

    * the random numbers of each iteration follow from the seed, the process and the iteration, and
      those of each image's augmentation from the seed and as which image it was drawn, in whatever
      process or worker, see :mod:`mmrazor_tat.engine.runner.random_state`;
    * the data go on where they were, without the images in between being read again;
    * a run whose config has no seed goes on with the seed that it had drawn;
    * the validation that is due at the checkpoint is done (again), unless the checkpoint has it:
      mmengine writes before it, so that a run killed in between would forget a best score.

    What it cannot keep is warned of.
    """

    priority = 'LOWEST'  # the validation finds every other hook ready

    def before_train(self, runner) -> None:
        seed = [runner.seed]
        broadcast_object_list(seed)  # with diff_rank_seed each process has another
        self._seed, self._rank = int(seed[0]), get_rank()
        self._warn(runner)
        self._number_images(runner)
        # Of an iteration, all processes together; 0: unknown.
        images = getattr(runner.train_dataloader.batch_sampler, 'batch_size', 0) * get_world_size()
        if runner._resume and runner.iter > 0:
            before = runner.message_hub.get_info(_IMAGES)
            if before and images and before != images:
                runner.logger.warning(
                    f'ExactResumeHook: the run had {before} images an iteration and has {images} '
                    f'now: it goes on at image {runner.iter * images} of its order, where it had '
                    f'read {runner.iter * before}'
                )
            if runner.iter >= runner.max_iters:
                runner.logger.warning(
                    f'Nothing is left to train: iteration {runner.iter} of {runner.max_iters}'
                )
            self._validate_again(runner)
        runner.message_hub.update_info(_IMAGES, images)

    def before_train_epoch(self, runner) -> None:
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop) and self._is_numbered:
            # Here and not before training, as mmengine has now set the sampler's epoch to 0. The
            # workers were started with the data as they were, hence the None.
            loop.dataloader_iterator = None
            loop.dataloader_iterator = random_state.restart(loop.dataloader, loop.iter)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_generators(self._seed, random_state.STEP, self._rank, runner.iter)

    def before_val_epoch(self, runner) -> None:
        if hasattr(self, '_seed'):  # else a validation without training
            seed_generators(self._seed, random_state.VALIDATION, self._rank, runner.iter)
            # No checkpoint is written until the metrics are there: one that has this has them.
            runner.message_hub.update_info(_VALIDATED, runner.iter)

    def _number_images(self, runner) -> None:
        loader = runner.train_dataloader
        self._is_numbered = random_state.can_be_numbered(loader)
        if not self._is_numbered:
            runner.logger.warning(
                f'ExactResumeHook: {type(loader.dataset).__name__} gives whole batches, has no '
                'sampler, or is no data set: augmentation is not repeated in a run that is resumed'
            )
            return
        fixed = (runner.cfg.get('train_dataloader') or {}).get('sampler') or {}
        if hasattr(loader.sampler, 'seed') and 'seed' not in fixed:
            loader.sampler.seed = self._seed
        random_state.number_images(loader, self._seed)

    def _validate_again(self, runner) -> None:
        loop, validation = runner.train_loop, runner.val_loop
        done = loop.iter if isinstance(loop, IterBasedTrainLoop) else loop.epoch
        last = loop.max_iters if isinstance(loop, IterBasedTrainLoop) else loop.max_epochs
        if validation is None or done < loop.val_begin:
            return
        if runner.message_hub.get_info(_VALIDATED) == runner.iter:
            return  # the checkpoint of a new best score is written again after it
        loop._decide_current_val_interval()
        if done % loop.val_interval == 0 or done == last:
            runner.logger.info('The validation that is due at this checkpoint is done first')
            validation.run()

    def _warn(self, runner) -> None:
        accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        for hook in runner.hooks:
            if not isinstance(hook, CheckpointHook) or hook.by_epoch or hook.interval < 1:
                continue
            if hook.interval % accumulated:
                runner.logger.warning(
                    f'ExactResumeHook: a checkpoint every {hook.interval} iterations cuts through '
                    f'{accumulated} accumulated batches, whose gradients it does not hold: set '
                    'default_hooks.checkpoint.interval to a multiple'
                )
            if not isinstance(runner.train_loop, IterBasedTrainLoop):
                runner.logger.warning(
                    'ExactResumeHook: a checkpoint in the middle of an epoch is resumed at the '
                    "epoch's begin: set default_hooks.checkpoint.by_epoch=True"
                )
