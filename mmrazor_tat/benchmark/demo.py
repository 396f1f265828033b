"""The demo: a plain student and a TaT student on generated scenes, compared in the end."""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
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


@dataclass
class Outcome:
    """What one network reached."""

    name: str
    miou: float  # per cent, on the validation scenes
    parameters: int
    checkpoint: str
    minutes: Optional[float] = None  # training and validation


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


@dataclass(frozen=True)
class Training:
    """One network of the demo, through the Runner.

    Args:
        name: for the progress lines and the table.
        config: 'teacher', 'student' or 'tat_student'.
        data_root: what ``write_toy_voc`` wrote.
        work_dir: logs and checkpoint go to ``work_dir/config``.
        iterations: of the training, with four validations.
        seed: of weights and data order.
        teacher: checkpoint of the trained teacher, for a distillation config.
        initial: checkpoint of the weights that the (student) network starts from.
    """

    name: str
    config: str
    data_root: Path
    work_dir: Path
    iterations: int
    seed: int = 0
    teacher: Optional[str] = None
    initial: Optional[str] = None

    def train(self) -> list[Outcome]:
        """Train and validate: the network and, of a distillation, its teacher."""
        runner, start = self._runner(), time.perf_counter()
        runner.register_hook(_ProgressLine(self.name, max(1, self.iterations // 10)))
        runner.train()
        minutes = (time.perf_counter() - start) / 60
        checkpoint = str(Path(runner.work_dir) / f'iter_{self.iterations}.pth')
        found = [self._outcome(runner, self.name, 'mIoU', checkpoint, minutes)]
        if self.teacher is not None:
            found.append(self._outcome(runner, 'teacher', 'teacher/mIoU', self.teacher))
        return found

    def _runner(self) -> Runner:
        cfg = Config.fromfile(config_path(f'small/demo/{self.config}.py'))
        set_data_root(cfg, self.data_root)
        cfg.work_dir = str(self.work_dir / self.config)
        cfg.train_cfg.update(max_iters=self.iterations, val_interval=max(1, self.iterations // 4))
        cfg.default_hooks.checkpoint.interval = self.iterations
        cfg.param_scheduler[-1].end = self.iterations
        cfg.randomness.seed = self.seed
        cfg.log_level = 'ERROR'
        cfg.visualizer.name = cfg.experiment_name = f'demo_{self.config}'  # one of each a run
        for guard in GUARDS:  # it is not resumed, and its figures are those of a run without them
            cfg.default_hooks.pop(guard, None)
        if self.teacher is not None:
            cfg.model.teacher_ckpt = self.teacher
            cfg.default_hooks.teacher = dict(type='mmrazor.TeacherEvaluationHook')
        if self.initial is not None:
            model_of(cfg).init_cfg = dict(type='Pretrained', checkpoint=self.initial)
        return Runner.from_cfg(cfg)

    def _outcome(self, runner: Runner, name: str, metric: str, *other) -> Outcome:
        network = getattr(runner.model, 'teacher' if name == 'teacher' else 'student', runner.model)
        miou = float(runner.message_hub.get_scalar(f'val/{metric}').current())
        return Outcome(name, miou, sum(p.numel() for p in network.parameters()), *other)


def train_side_by_side(*trainings: Training) -> list[list[Outcome]]:
    """Train each in a process of its own, with one thread.

    Networks as small as these gain little from a second thread; and where other processes take the
    cores, two threads of one training wait for each other, two trainings do not.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(len(trainings), context, _one_thread) as pool:
        return list(pool.map(Training.train, trainings))


def _one_thread() -> None:
    torch.set_num_threads(1)
    multiprocessing.set_start_method('fork', force=True)  # mmengine's, of workers; else it warns
    sys.stdout.reconfigure(line_buffering=True)  # else a pipe has all lines of a process at its end
    compat.silence_harmless_warnings()


def save_half(checkpoint: str, path: Path) -> Path:
    """The weights of a checkpoint in half precision, as the demo's teacher is shipped."""
    MMLogger.get_instance('demo', log_level='ERROR')  # mmengine names every checkpoint
    state = read_checkpoint(checkpoint)['state_dict']
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    return path


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a text table."""
    lines = [f'{"":12}  {"mIoU":>6}  {"parameters":>10}  {"minutes":>7}']
    for of in outcomes:
        minutes = f'{of.minutes:.1f}' if of.minutes else ''
        millions = f'{of.parameters / 1e6:.2f} M'
        lines.append(f'{of.name:12}  {of.miou:6.2f}  {millions:>10}  {minutes:>7}'.rstrip())
    return '\n'.join(lines)


def report(outcomes: list[Outcome], work_dir: Path, count: int = 6) -> list[Path]:
    """Write the page about the demo, and two of its pictures by themselves.

    Args:
        outcomes: TaT student, plain student.
        work_dir: where to.
        count: scenes of the segmentation panels.

    Returns:
        Their paths: the segmentation panels, the attention, the page.
    """
    MMLogger.get_instance('demo', log_level='ERROR')
    folders = [Path(of.checkpoint).parent for of in outcomes]
    labels = [of.name for of in outcomes]
    found = gather(*folders, labels=labels, count=count, title='The demo')
    if found.notes:
        raise RuntimeError('; '.join(found.notes))
    paths = [work_dir / name for name in ('demo.png', 'attention.png', 'report.html')]
    save_panels(found.comparison, paths[0])
    save_figure(attention_figure(next(iter(found.attention.values()))), paths[1])
    save_report(found, paths[2])
    return paths
