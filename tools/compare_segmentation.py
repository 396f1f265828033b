"""Show what distillation changed: teacher, plain student and distilled student on validation
images, the best and the worst gains first, as a PNG or as a web page that stands alone."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmrazor_tat.utils.command_line import (
    add_cfg_options,
    one_line_errors,
    progress_bar,
    read_config,
)
from mmrazor_tat.visualization import panels


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a distillation recipe, or a plain config')
    parser.add_argument('checkpoint', help='of its training')
    parser.add_argument('--plain', metavar='CHECKPOINT', help='of the student without distillation')
    parser.add_argument('--plain-config', metavar='CONFIG', help="default: the recipe's student")
    parser.add_argument('--no-teacher', action='store_true', help='leave the teacher out')
    parser.add_argument('--count', type=int, default=8, help='images to show (default: 8)')
    parser.add_argument('--num-images', type=int, help='evaluate the first ones only')
    parser.add_argument(
        '--out', type=Path, default=Path('panel.png'), help='.png or .html (default: panel.png)'
    )
    add_cfg_options(parser, 'settings of CONFIG, e.g. data_root=PATH model.teacher_ckpt=PATH')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    with one_line_errors('compare_segmentation'):
        panels.check_out(args.out, args.count)
        panels.check_counts(count=args.count, num_images=args.num_images)
        cfg = read_config(args.config, args.cfg_options)
        plain_cfg = args.plain_config and read_config(args.plain_config, {})
        panels.validation_data(cfg)  # what is wrong with it shows before the networks are loaded
        networks = panels.load_networks(
            cfg, args.checkpoint, args.plain, plain_cfg, not args.no_teacher
        )
        comparison = panels.compare(cfg, networks, args.count, args.num_images, progress_bar())
        details = [('config', args.config), ('checkpoint', args.checkpoint)]
        if args.plain is not None:
            details.append(('plain student', args.plain))
        title = f'Segmentation of {Path(args.config).stem}'
        panels.save_panels(comparison, args.out, title, details)
        print(f'{panels.scores_table(comparison)}\n\nPanels: {args.out}')


if __name__ == '__main__':
    main()
