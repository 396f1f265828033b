"""Checkpoints that a kill, a full disk or another model cannot turn into a lost run."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop
from mmrazor.registry import HOOKS

from ...compat.checkpoints import read_checkpoint
from ...utils.errors import UserError
from ...utils.files import NAME, RemovesLater
from ...utils.work_dir import pointed_at, regular_checkpoints, step_of
from ..runner.checkpoint_fit import check_fit
from ..runner.evaluation import bare_model


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Make mmengine's ``CheckpointHook`` and its resuming safe; it writes nothing itself.

    * A checkpoint is written beside its place and put there in one step, and the older one is
      removed after that: whenever the run is killed, or the disk is full, a complete one is there.
      (So there has to be room for one more than ``max_keep_ckpts``.)
    * ``resume=True`` goes on from the checkpoint that mmengine's 'last_checkpoint' names, or one
      that the run has written after it; where that is damaged, or the pointer missing, from the
      last one written that is whole. Damaged ones are named in a warning and left out.
    * The first checkpoint of a run is read again, and one that could not be resumed warned of.
    * What is resumed is compared with the model first: another model's checkpoint, or one without
      optimizer, is refused; mmengine would load the weights whose names agree and go on.

    Checkpoints on other storage (``backend_args``, ``file_client_args``) are written as before.

    Args:
        check: whether what is resumed is compared with the model.

    Raises:
        ValueError: before training, a checkpoint that cannot be resumed completely.
        FileNotFoundError: before training, a checkpoint that is not there.
        OSError: a checkpoint cannot be written; those before it are as they were.
    """

    priority = 'LOWEST'  # what is to be removed is, after the CheckpointHook has written

    def __init__(self, check: bool = True) -> None:
        self.check = check

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

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume and self.check:
            name = f'resume {runner._load_from!r}'
            check_is_of_a_run(checkpoint, name)
            check_fit(bare_model(runner), checkpoint, 'resume', name)

    def before_train(self, runner) -> None:
        self._backends, self._is_tried = [], False
        for hook in _checkpoint_hooks(runner):
            is_plain = hook.backend_args in (None, {}, dict(backend='local'))
            if type(getattr(hook, 'file_backend', None)) is LocalBackend and is_plain:
                hook.backend_args = dict(backend=NAME)
                hook.file_backend = RemovesLater()
                self._backends.append(hook.file_backend)

    def after_train_iter(self, runner, batch_idx: int = 0, data_batch=None, outputs=None) -> None:
        self.after_val_epoch(runner)
        for hook in _checkpoint_hooks(runner) if not self._is_tried else ():
            path = getattr(hook, 'last_ckpt', None)
            if path and is_main_process() and Path(path).is_file():
                self._is_tried = True
                try:  # a hook may put in what is refused later
                    check_is_of_a_run(read_checkpoint(path), f'resume {path!r}')
                except ValueError as error:
                    runner.logger.warning(f'{error}. So this run could not be resumed as it is')

    def after_train_epoch(self, runner) -> None:
        self.after_train_iter(runner)

    def after_val_epoch(self, runner, metrics=None) -> None:
        for backend in getattr(self, '_backends', ()):
            backend.remove_now()

    @staticmethod
    def _choose(runner) -> Optional[str]:
        """What to go on from, whose checksums are right; None: there is nothing yet."""
        if runner._load_from is not None:
            if (damage := damage_of(runner._load_from)) is not None:
                raise UserError(damage)
            return runner._load_from
        hooks, work_dir = _checkpoint_hooks(runner), Path(runner.work_dir)
        elsewhere = [Path(hook.out_dir) / work_dir.name for hook in hooks if hook.out_dir]
        folders = [work_dir, *(folder for folder in dict.fromkeys(elsewhere) if folder.is_dir())]
        checkpoint, damaged = newest_whole(folders)
        for reason in damaged:
            runner.logger.warning(f'{reason}. It is left out')
        for folder in folders:
            for unfinished in folder.glob('*.pth.tmp'):  # of a run that was killed
                unfinished.unlink()
        return checkpoint


def check_is_of_a_run(content: Any, name: str) -> None:
    """Raise UserError for what a run cannot go on from completely."""
    meta = content.get('meta') if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping) or not isinstance(meta.get('iter'), int):
        raise UserError(
            f'{name} does not say which iteration it is of: it is no checkpoint of a run, whose '
            'weights can be loaded with --cfg-options load_from=PATH and without --resume'
        )
    lacking = [part for part in ('state_dict', 'message_hub', 'optimizer') if part not in content]
    if lacking:
        raise UserError(
            f'{name} has no {", ".join(lacking)}: it was written to be evaluated, not resumed (as '
            'best_*.pth are): take iter_N.pth or epoch_N.pth, or begin a run from its weights with '
            '--cfg-options load_from=PATH'
        )


def damage_of(checkpoint: str) -> Optional[str]:
    """What is wrong with a file, by its checksums, which torch does not compare; None: nothing."""
    if '://' in checkpoint or not zipfile.is_zipfile(Path(checkpoint).expanduser()):
        return None  # its reading says it
    try:
        with zipfile.ZipFile(Path(checkpoint).expanduser()) as file:
            bad = file.testzip()
    except Exception as error:  # what a damaged directory makes zipfile raise is many things
        return f'resume {checkpoint!r} is damaged: {error}'
    return bad and f'resume {checkpoint!r} is damaged: its part {bad} is not as written'


def newest_whole(folders: list[Path]) -> tuple[Optional[str], list[str]]:
    """The checkpoint to go on from, and what is wrong with those that would come before it.

    That is the one that mmengine's pointer 'last_checkpoint' names, or a later one of its run that
    was written when the run was killed before the pointer was. Without a pointer, or where that
    one is damaged: what was written last.

    Args:
        folders: that may hold checkpoints; the first is the work dir.

    Raises:
        UserError: there are checkpoints, and none is whole.
    """
    found = [path for folder in folders for path in regular_checkpoints(folder, complete=False)]
    found.sort(key=lambda path: (path.stat().st_mtime_ns, step_of(path)), reverse=True)
    named, damaged = pointed_at(folders[0]) or '', []
    last = Path(named)
    if last.is_file():
        found = [last, *(path for path in found if path.resolve() != last.resolve())]

    # Of an earlier run in the same folder there may be a higher number, but none is newer.
    later = [
        of
        for of in (found if last in found else ())
        if of.stat().st_mtime_ns > last.stat().st_mtime_ns
        and of.stem.rpartition('_')[0] == last.stem.rpartition('_')[0]
        and step_of(of) > step_of(last)
    ]
    # By the name, as the folder may have been moved.
    order = sorted(found, key=lambda of: (of not in later, of.name != last.name))
    for checkpoint in [named] * ('://' in named) + list(map(str, order)):
        is_cut_off = '://' not in checkpoint and not zipfile.is_zipfile(checkpoint)
        damage = f'resume {checkpoint!r} is damaged: its end is missing' if is_cut_off else None
        damage = damage or damage_of(checkpoint)
        if damage is None:
            return checkpoint, damaged
        damaged.append(damage)
    if damaged:
        raise UserError(
            f'resume: none of the checkpoints can be read: {"; ".join(damaged)}. Move them away to '
            'start from the beginning'
        )
    return None, damaged


def _checkpoint_hooks(runner) -> list[CheckpointHook]:
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
