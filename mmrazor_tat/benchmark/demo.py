"""The demo: a plain student and a TaT student on generated scenes, compared in the end."""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Optional

import torch
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .. import compat
from ..compat.checkpoints import read_checkpoint
from ..engine.runner.guarded_runner import GUARDS
from ..utils.config_settings import set_data_root
from ..utils.configs import config_path, model_of
from ..visualization.attention.figure import attention_figure
from ..visualization.figures import save_figure
from ..visualization.panels import save_panels
from ..visualization.report import gather, save_report

# Trained by ``tools/demo.py --train-teacher``: a state dict in half precision.
TEACHER = 'small/demo/teacher.pth'
TEACHER_ITERATIONS = 4000


class _ProgressLine(Hook):
    """Iteration, losses and time left, now and then: the logger is quiet."""

    priority = 'VERY_LOW'

    def __init__(self, name: str, interval: int) -> None:
        self.name, self.interval = name, interval

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.every_n_train_iters(runner, self.interval) or runner.iter == 0:
            tag, _ = runner.log_processor.get_log_after_iter(runner, batch_idx, 'train')
            losses = '  '.join(f'{key} {value:.3f}' for key, value in tag.items() if 'loss' in key)
            minutes, seconds = divmod(int(runner.message_hub.get_info('eta', 0)), 60)
            done = f'{self.name:12s} {runner.iter + 1:4d}/{runner.max_iters}'
            print(f'{done}  {losses}  {minutes}:{seconds:02d} left', flush=True)


def train(
    name: str,
    config: str,
    data_root: Path,
    work_dir: Path,
    iterations: int,
    seed: int,
    teacher: Optional[str] = None,
    initial: Optional[str] = None,
) -> list[tuple]:
    """Train and validate one network of the demo, ``name`` in the lines that are printed.

    It is 'teacher', 'student' or 'tat_student' (``config``); ``data_root`` is what
    ``write_toy_voc`` wrote, ``teacher`` the checkpoint of a distillation's, ``initial`` that of the
    weights to start from. Logs and checkpoint go to ``work_dir/config``. Gives lines of
    :func:`table`: of the network and, of a distillation, of its teacher.
    """
    cfg = Config.fromfile(config_path(f'small/demo/{config}.py'))
    set_data_root(cfg, data_root)
    cfg.work_dir = str(work_dir / config)
    cfg.train_cfg.update(max_iters=iterations, val_interval=max(1, iterations // 4))
    cfg.default_hooks.checkpoint.interval = iterations
    cfg.param_scheduler[-1].end = iterations
    cfg.randomness.seed = seed
    cfg.log_level = 'ERROR'
    cfg.visualizer.name = cfg.experiment_name = f'demo_{config}'  # one of each a run
    for guard in GUARDS:  # it is not resumed, and its figures are those of a run without them
        cfg.default_hooks.pop(guard, None)
    if teacher is not None:
        cfg.model.teacher_ckpt = teacher
        cfg.default_hooks.teacher = dict(type='mmrazor.TeacherEvaluationHook')
    if initial is not None:
        model_of(cfg).init_cfg = dict(type='Pretrained', checkpoint=initial)
    runner, start = Runner.from_cfg(cfg), time.perf_counter()
    runner.register_hook(_ProgressLine(name, max(1, iterations // 10)))
    runner.train()
    model, minutes = runner.model, (time.perf_counter() - start) / 60
    networks = [(name, getattr(model, 'student', model), 'val/mIoU', f'{minutes:.1f}')]
    if teacher is not None:
        networks.append(('teacher', model.teacher, 'val/teacher/mIoU', ''))
    return [
        (
            name,
            float(runner.message_hub.get_scalar(metric).current()),
            sum(p.numel() for p in network.parameters()) / 1e6,
            minutes,
        )
        for name, network, metric, minutes in networks
    ]


def train_side_by_side(*trainings: dict) -> list[list[tuple]]:
    """:func:`train` with each of these arguments, in a process of its own, with one thread.

    Networks as small as these gain little from a second thread; and where other processes take the
    cores, two threads of one training wait for each other, two trainings do not.
    """
    context = multiprocessing.get_context('forkserver')  # which imports all of this once
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(len(trainings), context, _one_thread) as pool:
        return [of.result() for of in [pool.submit(train, **one) for one in trainings]]


def _one_thread() -> None:
    torch.set_num_threads(1)
    multiprocessing.set_start_method('fork', force=True)  # mmengine's, of workers; else it warns
    sys.stdout.reconfigure(line_buffering=True)  # else a pipe has all lines of a process at its end
    compat.silence_harmless_warnings()


def save_half(checkpoint: Path, path: Path) -> Path:
    """The weights of a checkpoint in half precision, as the demo's teacher is shipped."""
    state = read_checkpoint(str(checkpoint))['state_dict']
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    return path


def table(rows: list[tuple]) -> str:
    """Name, mIoU in per cent, million parameters and minutes of each network as a text table."""
    lines = [f'{"":12}  {"mIoU":>6}  {"parameters":>10}  {"minutes":>7}']
    for name, miou, millions, minutes in rows:
        lines.append(f'{name:12}  {miou:6.2f}  {millions:8.2f} M  {minutes:>7}'.rstrip())
    return '\n'.join(lines)


def report(work_dir: Path) -> list[Path]:
    """Write the page about both students, and two of its pictures by themselves.

    Returns:
        Their paths: the segmentation panels, of six scenes, the attention, the page.
    """
    folders, labels = (work_dir / 'tat_student', work_dir / 'student'), ['TaT student', 'student']
    found = gather(*folders, labels=labels, count=6, title='The demo')
    if found.notes:
        raise RuntimeError('; '.join(found.notes))
    paths = [work_dir / name for name in ('demo.png', 'attention.png', 'report.html')]
    save_panels(found.comparison, paths[0])
    save_figure(attention_figure(next(iter(found.attention.values()))), paths[1])
    save_report(found, paths[2])
    return paths
