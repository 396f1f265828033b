"""The training of a soak: everything that could leak, in one recipe, through the Runner."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.runner import Runner

from ....datasets.toy_scenes import write_toy_voc
from ....utils.config_settings import set_crop_size
from ....utils.configs import config_path
from ....utils.networks import initial_weights
from .. import measure
from .samples import MemorySample, MemorySampleHook, check_memory_is_readable
from .verdict import MIB, PER, Limits, Verdict, judge

_BYTES_OF_A_VALUE = 16  # of a HistoryBuffer: the value and its count, 8 bytes each
CROP = 32
EVENTS = 10  # validations, checkpoints and pictures in a run


@dataclass(frozen=True)
class Soak:
    """A soak, judged.

    Attributes:
        iterations, interval, workers, seed: as asked for.
        keys: of the log: each gets a value an iteration, which mmengine keeps.
        samples: of the memory.
        events: see :class:`MemorySampleHook`.
        losses: the distillation losses that were computed, by name.
        machine: what it ran on.
        limits, verdict: see :func:`~.verdict.judge`.
    """

    iterations: int
    interval: int
    workers: int
    seed: int
    keys: int
    samples: list[MemorySample]
    events: dict[str, list[int]]
    losses: list[str]
    machine: dict[str, Any]
    limits: Limits
    verdict: Verdict


def soak(
    work_dir: Path,
    iterations: int = 2000,
    interval: int = 20,
    workers: int = 0,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> Soak:
    """Train with :func:`soak_config`, in this process, and watch its memory.

    The process is to be a fresh one: what other work leaves to malloc would hide a growth.

    Args:
        work_dir: data, logs and checkpoints go there.
        iterations: at least 200, so that there are ten of everything.
        interval: iterations between two samples.
        workers: of each data loader.
        limits: of the growth.
        seed: of data and weights.

    Raises:
        ValueError: a setting out of range, before anything is written.
    """
    check_soak(iterations, interval, workers)
    data = write_toy_voc(work_dir / 'data', num_train=32, num_val=2, size=(CROP, CROP))
    cfg = soak_config(data, work_dir, iterations, workers, seed)
    cfg.model.teacher_ckpt = initial_weights(
        Config(dict(model=cfg.model.teacher)), work_dir / 'teacher.pth', seed
    )
    runner = Runner.from_cfg(cfg)
    hook = MemorySampleHook(interval)
    runner.register_hook(hook)
    runner.train()
    keys = len([key for key in runner.message_hub.log_scalars if key.startswith('train/')])
    expected = keys * _BYTES_OF_A_VALUE * PER / MIB
    return Soak(
        iterations,
        interval,
        workers,
        seed,
        keys,
        hook.samples,
        hook.events,
        list(runner.model.distiller.loss_forward_mappings),
        measure.describe_machine('cpu'),
        limits,
        judge(hook.samples, limits, expected),
    )


def check_soak(iterations: int, interval: int, workers: int) -> None:
    """Raise ValueError for what :func:`soak` does not take."""
    check_memory_is_readable()
    if iterations < 20 * EVENTS:
        raise ValueError(f'iterations must be at least {20 * EVENTS}, got {iterations}')
    if not 1 <= interval <= iterations // 20:
        raise ValueError(
            f'interval must be from 1 to {iterations // 20}, so that {iterations:,} iterations '
            f'give 20 samples, got {interval}'
        )
    if workers < 0:
        raise ValueError(f'workers must be at least 0, got {workers}')


def soak_config(
    data_root: Path, work_dir: Path, iterations: int, workers: int, seed: int
) -> Config:
    """The demo's pair with everything that could leak: recorders, connectors, losses, hooks.

    Losses: TaT by the lean operator and in its composed form, and KR with a recorder for each
    stage. Each of ten parts of the run ends with a validation (of the teacher as well, once), a
    checkpoint, one of the student alone, and pictures of the attention.
    """
    cfg = Config.fromfile(config_path('small/demo/pair.py'))
    parts: dict[str, dict] = dict(connectors={}, distill_losses={}, loss_forward_mappings={})
    for name in ('tat', 'tat_composed', 'review_kd'):
        method = Config.fromfile(config_path(f'_base_/methods/{name}.py')).method.distiller
        for part, content in parts.items():
            content.update(method.get(part, {}))
    losses = parts['distill_losses']
    views = [
        dict(type='patch', grid=(4, 4), groups=4, weight=0.1),
        dict(type='anchor', kernel=2, weight=0.04),
    ]
    losses['loss_tat'].update(views=views, lean=True)
    parts['connectors']['fusion']['mid_channel'] = 32
    losses['loss_patch'].update(grid=(4, 4), groups=4)
    losses['loss_anchor'].update(kernel=2)
    cfg.model.distiller.update(parts)
    set_crop_size(cfg, (CROP, CROP))
    cfg.train_pipeline[2].scale = (CROP, CROP)
    cfg.train_dataloader.dataset.pipeline[2].scale = (CROP, CROP)

    length = iterations // EVENTS
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline[1].scale = (CROP, CROP)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data_root)
        loader.update(num_workers=workers, persistent_workers=workers > 0)
    cfg.train_dataloader.batch_size = 2
    cfg.work_dir, cfg.log_level = str(work_dir / 'run'), 'ERROR'
    cfg.randomness = dict(seed=seed)
    cfg.experiment_name = cfg.visualizer.name = 'soak'
    cfg.train_cfg.update(max_iters=iterations, val_interval=length)
    cfg.param_scheduler[-1].end = iterations
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend'), *_tensorboard()]
    cfg.default_hooks.update(
        logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
        checkpoint=dict(
            type='CheckpointHook',
            by_epoch=False,
            interval=length,
            max_keep_ckpts=2,
            save_best='mIoU',
        ),
        student_checkpoint=dict(
            type='mmrazor.StudentCheckpointHook', interval=length, save_best='mIoU'
        ),
        attention=dict(type='mmrazor.AttentionVisualizationHook', interval=length, num_images=1),
        gradient_share=dict(type='mmrazor.GradientShareHook', interval=10),
        loss_schedule=dict(
            type='mmrazor.LossScheduleHook',
            schedules={
                'loss_tat': dict(warmup=length),
                'loss_review': dict(decay=(length, iterations), decay_to=0.1),
            },
        ),
        teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'),
    )
    return cfg


def _tensorboard() -> list[dict]:
    """Its backend, where it is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return []
    return [dict(type='TensorboardVisBackend')]
