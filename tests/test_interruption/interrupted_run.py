"""A training in a process of its own, which may be killed at a chosen point, and what it leaves."""

import json
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch

# In mmengine's message hub; the iteration is in meta as well.
_OF_THE_START = ('cfg', 'experiment_name', 'last_ckpt', 'eta', 'iter')


class Kill(NamedTuple):
    """Where a process ends itself with SIGKILL.

    ``point``: 'before' the step of an iteration; 'after' it, before anything is written; in the
    'validation' after it; while its checkpoint is half 'writing'; 'written', but not yet in its
    place; in its place, before the one before it is 'removing'.
    """

    iteration: int  # counted from 1
    point: str


def start(config: str, settings: dict, kill: Optional[Kill] = None, resume: bool = False) -> int:
    """Train in a process of its own; gives its exit status, -9 where it was killed."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmrazor_tat', 'mmseg.models', 'mmseg.datasets'])
    process = context.Process(target=_train, args=(config, settings, kill, resume))
    process.start()
    process.join(300)
    if process.is_alive():
        process.kill()
        raise AssertionError('the training hangs')
    return process.exitcode


def _train(config: str, settings: dict, kill: Optional[Kill], resume: bool) -> None:
    from mmengine import Config
    from mmengine.config import config as config_module
    from mmengine.runner import Runner
    from yapf.yapflib import yapf_api

    from mmrazor_tat.engine.runner.guarded_runner import add_guards

    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    for owner in (config_module, yapf_api):  # lays out a config's text for each checkpoint: 1 s
        owner.FormatCode = lambda text, **_: (text, False)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(settings)
    add_guards(cfg)
    cfg.resume = resume
    with open(Path(cfg.work_dir).parent / 'output.txt', 'a') as log:
        sys.stdout = sys.stderr = log
        runner = Runner.from_cfg(cfg)
        if kill is not None:
            _arrange(runner, kill)
        runner.train()


def _arrange(runner, kill: Kill) -> None:
    from mmengine.hooks import Hook

    from mmrazor_tat.utils import files

    at_step = [0]  # the runner counts an iteration when its hooks are done

    def is_now(point: str) -> bool:
        return kill.point == point and at_step[0] == kill.iteration

    def die_at(point: str) -> None:
        if is_now(point):
            os.kill(os.getpid(), signal.SIGKILL)

    class Killer(Hook):
        priority = 'VERY_HIGH'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            at_step[0] = runner.iter + 1
            die_at('before')

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            die_at('after')

        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            die_at('validation')

    runner.register_hook(Killer())
    sync, remove = os.fsync, files.RemovesLater.remove_now

    def fsync(descriptor) -> None:
        if is_now('writing'):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        die_at('writing')
        die_at('written')
        sync(descriptor)

    def remove_now(self) -> None:
        die_at('removing')
        remove(self)

    files.os.fsync = fsync
    files.RemovesLater.remove_now = remove_now


def output(work_dir: Path) -> str:
    """The end of what the starts of a run printed."""
    return (work_dir.parent / 'output.txt').read_text()[-3000:]


def _logged(work_dir: Path) -> list[dict]:
    """The lines of all starts, the latest last."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def losses(work_dir: Path) -> dict[int, dict]:
    """What was logged of each iteration, of several starts the latest."""
    timed = ('time', 'data_time', 'memory')
    return {
        line['iter']: {k: v for k, v in line.items() if k not in timed}
        for line in _logged(work_dir)
        if 'loss' in line
    }


def scores(work_dir: Path) -> dict[int, float]:
    """The mIoU of each validation, by its step."""
    return {line['step']: line['mIoU'] for line in _logged(work_dir) if 'mIoU' in line}


def content(checkpoint: Path) -> dict[str, Any]:
    """Of a checkpoint, what has to be equal."""
    found = torch.load(checkpoint, weights_only=False)
    if 'message_hub' not in found:  # of the student alone
        return dict(weights=found['state_dict'], iter=found['meta']['iter'])
    hub = found['message_hub']
    found['message_hub'] = dict(
        scalars={
            name: (buffer._log_history, buffer._count_history)
            for name, buffer in hub['log_scalars'].items()
            if not name.endswith(('/time', '/data_time', '/memory'))
        },
        info={
            name: Path(value).name if name.endswith('_ckpt') else value
            for name, value in hub['runtime_info'].items()
            if name not in _OF_THE_START
        },
    )
    found['meta'] = {name: found['meta'][name] for name in ('iter', 'epoch', 'seed')}
    return found


def differences(one: Any, other: Any, where: str = '') -> list[str]:
    """Where two contents differ in a bit."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found = [f'{where}.{key}' for key in one.keys() ^ other.keys()]
        for key in one.keys() & other.keys():
            found += differences(one[key], other[key], f'{where}.{key}')
        return found
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return [where]
        return sum(
            (differences(a, b, f'{where}.{i}') for i, (a, b) in enumerate(zip(one, other))), []
        )
    equal = torch.equal(one, other) if isinstance(one, torch.Tensor) else _equal(one, other)
    return [] if equal else [where]


def _equal(one: Any, other: Any) -> bool:
    if type(one).__module__ == 'numpy':
        return type(one) is type(other) and one.tobytes() == other.tobytes()
    return one == other
