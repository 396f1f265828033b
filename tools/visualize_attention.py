"""Paint where target-aware attention looks: a picture for each image, before and after training."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmrazor_tat.utils.command_line import add_cfg_options, one_line_errors, point
from mmrazor_tat.utils.config_options import read_config
from mmrazor_tat.visualization.attention.comparison import START, compare_attention
from mmrazor_tat.visualization.attention.figure import attention_figure
from mmrazor_tat.visualization.figures import save_figure


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a distillation recipe with a TaT loss')
    parser.add_argument('checkpoint', help='of its training')
    parser.add_argument('images', nargs='+', metavar='IMAGE')
    parser.add_argument(
        '--points',
        nargs='+',
        type=point,
        metavar='X,Y',
        help='positions to be rebuilt, in pixels of the image; default: the most unlike ones in '
        "the teacher's map",
    )
    parser.add_argument('--count', type=int, default=3, help='of the points that are chosen')
    parser.add_argument(
        '--before',
        default=START,
        metavar='CHECKPOINT|none',
        help='what to compare with; default: the network as its training began, drawn anew by '
        'the seed in the checkpoint (a training on a GPU drew other numbers than this machine '
        'draws without one)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR|FILE.png',
        help='default: the folder "attention" beside the checkpoint',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    with one_line_errors('visualize_attention'):
        paths = picture_paths(args.images, args.out or Path(args.checkpoint).parent / 'attention')
        if args.count < 1:
            raise ValueError(f'--count must be at least 1, got {args.count}')
        cfg = read_config(args.config, args.cfg_options)
        before = None if args.before == 'none' else args.before
        states, notes = compare_attention(
            cfg, args.checkpoint, args.images, args.points, args.count, before
        )
        for note in notes:
            print(note)
        for path, found in zip(paths, states):
            save_figure(attention_figure(found), path)
            points = next(iter(found.values())).points
            print(f'{path}: ' + ' and '.join(f'{x:.0f},{y:.0f}' for x, y in points))


def picture_paths(images: list[str], out: Path) -> list[Path]:
    """Where the picture of each image goes."""
    if out.suffix == '.png':
        if len(images) > 1:
            raise ValueError(f'--out {out} is one file for {len(images)} images: name a folder')
        return [out]
    if out.suffix and not out.is_dir():
        raise ValueError(f'--out {out} must be a folder or a .png file')
    paths = [out / f'{Path(image).stem}.png' for image in images]
    if len(set(paths)) < len(paths):
        raise ValueError(f'two images of one name would share a picture in {out}: run them apart')
    return paths


if __name__ == '__main__':
    main()
