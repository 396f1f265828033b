"""Why some settings of TaT teach: what the softmax and the gradient are like in trained students.

    python benchmarks/what_decides.py work_dirs/benchmark/tat_sieve

reads the runs of the suite tat_sieve and writes, beside this file, what_decides.json and the figure
of docs/results/what_decides.md.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from mmengine import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from mmrazor.registry import MODELS

from mmrazor_tat.functional import attention_weights

HERE = Path(__file__).parent
SCALES = ('autoby3', 'auto', '3auto', '1')


def measure(folder: Path, images: int) -> dict[str, float]:
    """Means over validation images and views.

    Returns:
        ``largest``: the largest weight of a row; ``positions``: exp(entropy) of a row over the
        number of positions, 1 for equal weights; ``key_share``: the gradient's norm at the keys
        over the sum of those at keys and values.
    """
    cfg = Config.fromfile(next(folder.glob('*.py')))
    init_default_scope('mmseg')
    cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(max(folder.glob('iter_*.pth'))), map_location='cpu')
    loss = model.distiller.distill_losses['loss_tat']
    mapping = model.distiller.loss_forward_mappings['loss_tat']
    found: dict[str, list[float]] = dict(largest=[], positions=[], key_share=[])
    loader = Runner.build_dataloader(cfg.val_dataloader)
    for number, batch in enumerate(loader):
        if number == images:
            break
        data = model.data_preprocessor(batch, False)
        with torch.no_grad():
            model.record(data['inputs'], data['data_samples'])
            s, t = (model.distiller.get_record(**mapping[k]) for k in ('s_feature', 't_feature'))
            query = loss.theta(t)
            key, value = (f(s).requires_grad_() for f in (loss.gamma, loss.phi))
        for view in loss.views.values():
            with torch.no_grad():
                weights = attention_weights(
                    view.view(key),
                    view.view(query),
                    softmax_over=view.softmax_over,
                    scale=view.scale,
                )
                entropy = torch.special.entr(weights).sum(-1)
                found['largest'].append(weights.amax(-1).mean().item())
                found['positions'].append(entropy.exp().mean().item() / weights.shape[-1])
            of_key, of_value = torch.autograd.grad(view(key, value, query, t), (key, value))
            of_key, of_value = of_key.norm().item(), of_value.norm().item()
            found['key_share'].append(of_key / (of_key + of_value))
    return {name: sum(values) / len(values) for name, values in found.items()}


def draw(rows: dict[str, dict[str, float]], plain: float, path: Path) -> None:
    """mIoU, positions and the share of the keys against the scale, for both sides."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout='constrained')
    titles = dict(
        miou='mIoU after 1,000 iterations',
        positions='positions that a row looks at (share)',
        key_share="the keys' share of TaT's gradient",
    )
    for axis, (name, title) in zip(axes, titles.items()):
        for side, style in (('teacher', 'o-'), ('student', 's--')):
            values = [rows[f'{side}_{scale}_10_image_patch+anchor_head'][name] for scale in SCALES]
            axis.plot(range(4), values, style, label=f'softmax over the {side}')
        axis.set_xticks(range(4), ['auto / 3', 'auto', '3 auto', '1'])
        axis.set(title=title, xlabel='scale of the logits')
        axis.title.set_fontsize(10)
    axes[0].axhline(plain, color='grey', linestyle=':', label='plain student')
    axes[0].legend(fontsize=8, loc='lower left', bbox_to_anchor=(0, 0.12))
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=Path, help='what tools/benchmark.py tat_sieve wrote')
    parser.add_argument('--images', type=int, default=20, help='validation images')
    args = parser.parse_args()
    results = json.loads((args.out / 'tat_sieve.json').read_text())
    rows: dict[str, dict[str, float]] = {}
    plain = None
    for name, run in results['runs'].items():
        if name == 'teacher' or 'mIoU' not in run['last']:
            continue
        miou = run['last']['mIoU']['mean']
        if name == 'student-1000':
            plain = miou
        else:
            rows[name] = dict(miou=miou, **measure(args.out / 'runs' / name / 'seed0', args.images))
    (HERE / 'what_decides.json').write_text(json.dumps(rows, indent=2) + '\n')
    draw(rows, plain, HERE.parent / 'docs/results/what_decides.png')


if __name__ == '__main__':
    main()
