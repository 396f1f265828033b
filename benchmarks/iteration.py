"""Where an iteration of a recipe goes: data, teacher, student, losses, optimizer, hooks.

    python benchmarks/iteration.py RECIPE --cfg-options data_root=PATH

Trains for a few iterations, the teacher with random weights.
"""

import argparse
import contextlib
import copy
import tempfile
from collections import Counter
from pathlib import Path

import measure
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, loops
from torch.utils.benchmark import timer

from mmrazor_tat.engine.runner.guarded_runner import add_guards
from mmrazor_tat.utils.command_line import add_cfg_options
from mmrazor_tat.utils.config_options import apply_options
from mmrazor_tat.utils.networks import initial_weights

SECONDS: Counter = Counter()


def count(owner, name: str, label: str) -> None:
    original = getattr(owner, name)

    def call(*args, **kwargs):
        start = timer()
        try:
            return original(*args, **kwargs)
        finally:
            SECONDS[label] += timer() - start

    setattr(owner, name, call)


class Start(Hook):
    """Counts from the iteration after the warm-up on."""

    priority = 'HIGHEST'

    def __init__(self, warmup: int) -> None:
        self.warmup, self.seconds = warmup, {}

    def before_train(self, runner) -> None:
        watch(runner)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.warmup:
            SECONDS.clear()
            self.start = timer()

    def before_val(self, runner) -> None:
        self.whole = timer() - self.start
        self.seconds = dict(SECONDS)
        raise SystemExit  # there is nothing to validate


def watch(runner: Runner) -> None:
    model = runner.model
    count(loops._InfiniteDataloaderIterator, '__next__', 'waiting for data')
    count(model.data_preprocessor, 'forward', 'data preprocessor')
    count(model, '_run_teacher', 'teacher')
    count(model.student, 'forward', 'student, forward')
    count(model.distiller, 'compute_distill_losses', 'distillation losses, with their gradient')
    count(runner.optim_wrapper, 'backward', 'backward')
    for name in ('step', 'zero_grad'):
        count(runner.optim_wrapper, name, 'optimizer')
    for hook in runner.hooks:
        of = 'ours' if type(hook).__module__.startswith('mmrazor_tat') else "mmengine's"
        for name in ('before_train_iter', 'after_train_iter'):
            if not isinstance(hook, Start):
                count(hook, name, f'hooks, {of}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', type=Path)
    parser.add_argument('--iterations', type=int, default=40)
    parser.add_argument('--warmup', type=int, default=10)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/iteration'))
    add_cfg_options(parser, 'settings of the recipe, e.g. data_root=PATH')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    with tempfile.TemporaryDirectory() as folder:
        for network in (cfg.model.architecture, cfg.model.teacher):
            network.pretrained = None
        network = Config(dict(model=copy.deepcopy(cfg.model.teacher)))  # mmseg writes into it
        teacher = initial_weights(network, Path(folder) / 'teacher.pth', 0)
        cfg.model.teacher_ckpt = str(teacher)
        apply_options(cfg, args.cfg_options or {})
        cfg.work_dir, cfg.log_level = folder, 'ERROR'
        cfg.default_hooks.pop('teacher_check', None)
        total = args.warmup + args.iterations
        cfg.train_cfg.update(max_iters=total, val_interval=10**9)
        cfg.default_hooks.checkpoint.update(interval=10**9, save_last=False)
        add_guards(cfg)
        runner, start = Runner.from_cfg(cfg), Start(args.warmup)
        runner.register_hook(start)
        with contextlib.suppress(SystemExit):
            runner.train()
    seconds = {**start.seconds, 'all else': start.whole - sum(start.seconds.values())}
    rows = [
        [name, f'{1e3 * of / args.iterations:,.1f}', f'{of / start.whole:.1%}']
        for name, of in sorted(seconds.items(), key=lambda item: -item[1])
    ]
    rows.append(['all', f'{1e3 * start.whole / args.iterations:,.1f}', ''])
    result = dict(machine=measure.describe_machine(), options=vars(args), seconds=seconds)
    title = f'An iteration of {args.config.stem}'
    measure.write_result(args.out, result, title, ['part', 'ms', 'share'], rows)
    print(args.out.with_suffix('.md').read_text())


if __name__ == '__main__':
    main()
