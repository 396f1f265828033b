"""How much of the variance of TaT's target a trained student rebuilds, on validation images.

    python benchmarks/explained_variance.py WORK_DIR CHECKPOINT [--teacher-ckpt PATH] [--images 60]

Prints, for each view, 1 - mse / variance over all tokens of the teacher.
"""

import argparse
from pathlib import Path

import torch
from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.utils.networks import trained_model


def explained(config: Path, checkpoint: str, teacher_ckpt: str, images: int) -> dict[str, float]:
    cfg = Config.fromfile(config)
    if teacher_ckpt:
        cfg.model.teacher_ckpt = teacher_ckpt
    model = trained_model(cfg, checkpoint, with_teacher=True)
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    distiller = model.distiller
    loss = distiller.distill_losses['loss_tat']
    errors, targets = {}, {}
    for number, batch in enumerate(Runner.build_dataloader(cfg.val_dataloader)):
        if number == images:
            break
        data = model.data_preprocessor(batch, False)
        with torch.no_grad():
            model.record(data['inputs'], data['data_samples'])
            maps = [distiller.get_record('feature', from_student) for from_student in (True, False)]
            loss(*maps)
            for name, view in loss.views.items():
                error = loss.logged_values[name].item() / view.loss_weight
                errors.setdefault(name, []).append(error)
                targets.setdefault(name, []).append(view.tokens(maps[1]).flatten(0, -2))
    return {
        name: 1 - sum(of) / len(of) / torch.cat(targets[name]).var(0, unbiased=False).mean().item()
        for name, of in errors.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('checkpoint')
    parser.add_argument('--teacher-ckpt')
    parser.add_argument('--images', type=int, default=60)
    args = parser.parse_args()
    config = max(args.work_dir.glob('*/vis_data/config.py'))
    found = explained(config, args.checkpoint, args.teacher_ckpt, args.images)
    print(', '.join(f'{name} {value:.1%}' for name, value in found.items()))


if __name__ == '__main__':
    main()
