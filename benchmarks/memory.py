"""Does memory grow in a long training? The demo's pair with all that could leak switched on.

    python benchmarks/memory.py --iterations 2000

Prints the growth in 1,000 iterations (the median slope of the second half: single jumps do not
move it) and ends with exit code 1 where it is above the limit.
"""

import argparse
import gc
import tempfile
from pathlib import Path

import torch
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from scipy.stats import theilslopes

from mmrazor_tat import config_path
from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.utils.config_settings import set_data_root

MIB = 2**20


class MemoryHook(Hook):
    """Every ``interval`` iterations: (iteration, resident MiB, live tensors)."""

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval, self.samples = interval, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.every_n_train_iters(runner, self.interval):
            resident = int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / MIB
            gc.collect()
            # By type: isinstance would ask lazy objects for their class, which may import things.
            tensors = sum(issubclass(type(x), torch.Tensor) for x in gc.get_objects())
            self.samples.append((runner.iter + 1, resident, tensors))


def with_everything(data_root: Path, work_dir: Path, iterations: int) -> Config:
    """Two views lean, KR with a recorder a stage; ten validations, checkpoints and pictures."""
    cfg = Config.fromfile(config_path('small/demo/review-kd_student.py'))
    tat = Config.fromfile(config_path('small/demo/tat_student.py')).model.distiller
    for part in ('distill_losses', 'loss_forward_mappings'):
        cfg.model.distiller[part].update(tat[part])
    cfg.model.distiller.distill_losses.loss_tat.lean = True
    set_data_root(cfg, data_root)
    length = iterations // 10
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.work_dir, cfg.log_level, cfg.randomness = str(work_dir), 'ERROR', dict(seed=0)
    cfg.train_cfg.update(max_iters=iterations, val_interval=length)
    cfg.default_hooks.update(
        logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
        checkpoint=dict(
            type='CheckpointHook',
            by_epoch=False,
            interval=length,
            save_best='mIoU',
            max_keep_ckpts=2,
        ),
        student=dict(type='mmrazor.StudentCheckpointHook', interval=length, save_best='mIoU'),
        attention=dict(type='mmrazor.AttentionVisualizationHook', interval=length, num_images=1),
        gradient_share=dict(type='mmrazor.GradientShareHook', interval=10),
    )
    cfg.model.teacher_ckpt = config_path('small/demo/teacher.pth')
    return cfg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--iterations', type=int, default=2000)
    parser.add_argument(
        '--limit', type=float, default=8.0, metavar='MIB', help='of 1,000 iterations'
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = write_toy_voc(Path(folder) / 'data', num_train=32, num_val=2, size=(64, 64))
        runner = Runner.from_cfg(with_everything(data, Path(folder) / 'run', args.iterations))
        hook = MemoryHook(max(1, args.iterations // 100))
        runner.register_hook(hook)
        runner.train()
    iterations, resident, tensors = zip(*hook.samples[len(hook.samples) // 2 :])
    growth = [1000 * theilslopes(values, iterations).slope for values in (resident, tensors)]
    print(f'resident {resident[0]:.0f} -> {resident[-1]:.0f} MiB, {growth[0]:+.2f} MiB in 1,000')
    print(f'live tensors {tensors[0]} -> {tensors[-1]}, {growth[1]:+.2f} in 1,000')
    if growth[0] > args.limit or growth[1] > 1:
        raise SystemExit('memory grows')


if __name__ == '__main__':
    main()
