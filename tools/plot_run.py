"""Draw the training curves of runs, from their logs, into one picture."""

import argparse
from pathlib import Path

from mmrazor_tat.utils.command_line import one_line_errors
from mmrazor_tat.visualization.curves import axes_of, plot_runs, read_runs


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR', help='of a run')
    parser.add_argument('--labels', nargs='+', metavar='NAME', help="instead of the folders' names")
    parser.add_argument(
        '--out', type=Path, default=Path('curves.png'), help='.png, .svg or .pdf; is replaced'
    )
    parser.add_argument('--metric', help='of the validations; default: mIoU or accuracy/top1')
    parser.add_argument(
        '--smooth',
        type=int,
        metavar='N',
        help='mean over N logged points, 1 for none; default: by the length of the runs',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with one_line_errors('plot_run'):
        if args.out.suffix not in ('.png', '.svg', '.pdf'):
            raise ValueError(f'--out {str(args.out)!r} must end in .png, .svg or .pdf')
        runs = read_runs(args.work_dirs, args.labels)
        plot_runs(runs, args.out, args.metric, args.smooth)
        for content in axes_of(runs, args.metric):
            print(f'{content.title}: {", ".join(content.names)}')
        print(f'{args.out} is written')


if __name__ == '__main__':
    main()
