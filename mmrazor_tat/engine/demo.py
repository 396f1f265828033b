"""The demo: teacher, plain student and TaT student on generated scenes, compared in the end."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from mmengine import Config
from mmengine.runner import Runner

from .. import config_path
from .attention.panel import attention_panel
from .figures import save_figure
from .initial_weights import initial_weights as save_initial_weights
from .panels import save_panels
from .report import gather, save_report


@dataclass
class Outcome:
    """What one training gave."""

    name: str
    miou: float  # per cent, on the validation scenes
    parameters: int  # of the deployed network
    minutes: float  # training and validation
    checkpoint: str


def train(
    name: str,
    config: str,
    data_root: Path,
    work_dir: Path,
    iterations: Optional[int] = None,
    seed: int = 0,
    teacher: Optional[Outcome] = None,
    initial: Optional[str] = None,
) -> Outcome:
    """Train and validate one demo config through the Runner.

    Args:
        name: for the progress lines and the table.
        config: 'teacher', 'student' or 'tat_student'.
        data_root: what ``write_toy_voc`` wrote.
        work_dir: logs and checkpoint go to ``work_dir/config``.
        iterations: None keeps the config's.
        seed: of weights and data order.
        teacher: the trained teacher, for a distillation config.
        initial: checkpoint of the weights that the (student) network starts from.
    """
    cfg = Config.fromfile(config_path(f'demo/{config}.py'))
    iterations = iterations or cfg.train_cfg.max_iters
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data_root)
    cfg.work_dir = str(work_dir / config)
    cfg.train_cfg.update(max_iters=iterations, val_interval=max(1, iterations // 4))
    cfg.default_hooks.checkpoint.interval = iterations
    cfg.param_scheduler[-1].end = iterations
    cfg.randomness.seed = seed
    cfg.log_level = 'ERROR'
    cfg.visualizer.name = cfg.experiment_name = f'demo_{config}'  # one of each a run
    cfg.custom_hooks = [
        dict(type='mmrazor.ProgressLineHook', name=name, interval=max(1, iterations // 10))
    ]
    if teacher is not None:
        cfg.model.teacher_ckpt = teacher.checkpoint
    if initial is not None:
        network = cfg.model.get('architecture', cfg.model)
        network.init_cfg = dict(type='Pretrained', checkpoint=initial)

    start = time.perf_counter()
    runner = Runner.from_cfg(cfg)
    runner.train()
    minutes = (time.perf_counter() - start) / 60
    network = getattr(runner.model, 'student', runner.model)
    return Outcome(
        name=name,
        miou=float(runner.message_hub.get_scalar('val/mIoU').current()),
        parameters=sum(p.numel() for p in network.parameters()),
        minutes=minutes,
        checkpoint=str(Path(cfg.work_dir) / f'iter_{iterations}.pth'),
    )


def initial_weights(config: str, path: Path, seed: int) -> str:
    """Save freshly drawn weights of a demo config, see :mod:`.initial_weights`; gives the path."""
    cfg = Config.fromfile(config_path(f'demo/{config}.py'))
    return save_initial_weights(cfg, path, seed)


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a text table."""
    rows = [('', 'mIoU', 'parameters', 'minutes')] + [
        (o.name, f'{o.miou:.2f}', f'{o.parameters / 1e6:.2f} M', f'{o.minutes:.1f}')
        for o in outcomes
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    )


def report(
    teacher: Outcome, student: Outcome, distilled: Outcome, work_dir: Path, count: int = 6
) -> list[Path]:
    """Write the page about the three trainings, and two of its pictures by themselves.

    Args:
        teacher, student, distilled: what :func:`train` gave.
        work_dir: where to.
        count: scenes of the segmentation panels.

    Returns:
        Their paths: the segmentation panels, the attention, the page.
    """
    outcomes = (distilled, student, teacher)
    found = gather(
        *(Path(o.checkpoint).parent for o in outcomes[:2]),
        others=[Path(teacher.checkpoint).parent],
        labels=[o.name for o in outcomes],
        count=count,
        title='The demo',
    )
    if found.notes:
        raise RuntimeError('; '.join(found.notes))
    paths = [work_dir / name for name in ('demo.png', 'attention.png', 'report.html')]
    save_panels(found.comparison, paths[0])
    save_figure(attention_panel(next(iter(found.attention.values()))), paths[1])
    save_report(found, paths[2])
    return paths
