"""Checkpoints that a kill, a full disk or another model cannot turn into a lost run."""

from pathlib import Path
from typing import Optional

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop
from mmrazor.registry import HOOKS

from ...utils.files import NAME, RemovesLater
from ..runner.checkpoint_fit import check_fit
from ..runner.evaluation import bare_model
from ..runner.resume_check import newest_readable, open_run


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Make mmengine's ``CheckpointHook`` and its resuming safe; it writes nothing itself.

    * A checkpoint is written beside its place and put there in one step, and the older one is
      removed after that: whenever the run is killed, or the disk is full, a complete one is there.
      (So there has to be room for one more than ``max_keep_ckpts``.)
    * ``resume=True`` goes on from the checkpoint that mmengine's 'last_checkpoint' names, or one
      that the run has written after it; where that is damaged, or the pointer missing, from the
      last one written that can be read. Damaged ones are named in a warning and left out.
    * The first checkpoint of a run is read again, and one that could not be resumed warned of.
    * What is resumed is compared with the model first: another model's checkpoint, or one without
      optimizer, is refused; mmengine would load the weights whose names agree and go on.

    Checkpoints on other storage (``backend_args``, ``file_client_args``) are written as before.

    Raises:
        ValueError: before training, a checkpoint that cannot be resumed completely.
        FileNotFoundError: before training, a checkpoint that is not there.
        OSError: a checkpoint cannot be written; those before it are as they were.
    """

    priority = 'LOWEST'  # what is to be removed is, after the CheckpointHook has written

    def before_run(self, runner) -> None:
        if not runner._resume or not isinstance(runner._train_loop, BaseLoop):
            return
        chosen: list = [None, None]  # the checkpoint, or an error
        if is_main_process():
            try:
                chosen[0] = self._choose(runner)
            except Exception as error:  # else the other processes would wait
                chosen[1] = error
        broadcast_object_list(chosen)
        if chosen[1] is not None:
            raise chosen[1]
        runner._load_from = chosen[0]
        if chosen[0] is None:
            runner._resume = False
            runner.logger.warning(f'{runner.work_dir} holds no checkpoint: the run begins anew')

    def before_train(self, runner) -> None:
        self._backends, self._is_tried = [], False
        for hook in _checkpoint_hooks(runner):
            is_plain = hook.backend_args in (None, {}, dict(backend='local'))
            if type(getattr(hook, 'file_backend', None)) is LocalBackend and is_plain:
                hook.backend_args = dict(backend=NAME)
                hook.file_backend = RemovesLater()
                self._backends.append(hook.file_backend)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._remove()
        self._try_first(runner)

    def after_train_epoch(self, runner) -> None:
        self._remove()
        self._try_first(runner)

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._remove()

    def _remove(self) -> None:
        for backend in getattr(self, '_backends', ()):
            backend.remove_now()

    def _try_first(self, runner) -> None:
        """Read the first checkpoint of a run: a hook may put in what is refused later."""
        for hook in _checkpoint_hooks(runner) if not self._is_tried else ():
            path = getattr(hook, 'last_ckpt', None)
            if not path or not is_main_process() or not Path(path).is_file():
                continue
            self._is_tried = True
            try:
                open_run(path)
            except ValueError as error:
                runner.logger.warning(f'{error}. So this run could not be resumed as it is')

    def _choose(self, runner) -> Optional[str]:
        """What to go on from, held against the model; None: there is nothing yet."""
        checkpoint = runner._load_from
        if checkpoint is None:
            folders = _folders(runner)
            checkpoint, damaged = newest_readable(folders)
            for reason in damaged.values():
                runner.logger.warning(f'{reason}. It is left out')
            for folder in folders:
                for unfinished in folder.glob('*.pth.tmp'):  # of a run that was killed
                    unfinished.unlink()
            if checkpoint is None:
                return None
        check_fit(bare_model(runner), open_run(checkpoint), 'resume', f'resume {checkpoint!r}')
        return checkpoint


def _checkpoint_hooks(runner) -> list[CheckpointHook]:
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]


def _folders(runner) -> list[Path]:
    """Where a run's checkpoints may lie."""
    work_dir = Path(runner.work_dir)
    elsewhere = [
        Path(hook.out_dir) / work_dir.name for hook in _checkpoint_hooks(runner) if hook.out_dir
    ]
    return [work_dir, *(folder for folder in dict.fromkeys(elsewhere) if folder.is_dir())]
