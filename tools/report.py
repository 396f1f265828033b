"""One web page about a run: results, curves, panels, attention, environment, config."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmrazor_tat.utils.command_line import (
    add_cfg_options,
    check_file,
    one_line_errors,
    point,
    progress_bar,
)
from mmrazor_tat.visualization.report import gather, save_report


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', type=Path, help='of the run')
    parser.add_argument(
        '--plain', type=Path, metavar='WORK_DIR', help='of the student without distillation'
    )
    parser.add_argument(
        '--others', type=Path, nargs='+', default=[], metavar='WORK_DIR', help='join the curves'
    )
    parser.add_argument(
        '--labels', nargs='+', metavar='NAME', help='of all these runs, in the order above'
    )
    parser.add_argument('--out', type=Path, help='.html; default: WORK_DIR/report.html')
    parser.add_argument('--count', type=int, default=8, help='images of the panels (default: 8)')
    parser.add_argument(
        '--num-images', type=int, help='validation images to evaluate for the panels; default: all'
    )
    parser.add_argument(
        '--attention-images', type=int, default=2, help='images with attention (default: 2)'
    )
    parser.add_argument(
        '--points', nargs='+', type=point, metavar='X,Y', help='of the attention, in pixels'
    )
    parser.add_argument(
        '--logs-only', action='store_true', help='run no network: no panels, no attention'
    )
    add_cfg_options(
        parser, "settings of the run's config, e.g. data_root=PATH model.teacher_ckpt=PATH"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    with one_line_errors('report'):
        out = args.out or args.work_dir / 'report.html'
        check_file('out', out, '.html')
        found = gather(
            args.work_dir,
            args.plain,
            args.others,
            args.labels,
            args.cfg_options,
            not args.logs_only,
            args.count,
            args.num_images,
            args.attention_images,
            args.points,
            progress=progress_bar(),
        )
        for note in found.notes:
            print(note)
        save_report(found, out)
        print(f'{out} is written')


if __name__ == '__main__':
    main()
