"""Does memory grow in a long training? Trains with everything that could leak switched on.

A small recipe on generated data, through mmengine's Runner, in this process. Writes OUT.json,
OUT.png and OUT.md; exit code 1 where memory grows.
"""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

import torch

from mmrazor_tat.benchmark.timing.soak import Limits, check_soak, save_soak, soak, soak_text
from mmrazor_tat.utils.command_line import one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--iterations', type=int, default=2000)
    parser.add_argument('--interval', type=int, default=20, help='iterations between two samples')
    parser.add_argument('--workers', type=int, default=0, help='of each data loader')
    parser.add_argument(
        '--limit',
        type=float,
        default=Limits().mib,
        metavar='MIB',
        help='of 1,000 iterations',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/soak_memory'))
    parser.add_argument('--force', action='store_true', help='replace what is at OUT')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with one_line_errors('soak_memory'):
        check(args)
        torch.set_num_threads(1)  # the networks are small, and other work may share the machine
        with tempfile.TemporaryDirectory(prefix='soak_') as folder:
            result = soak(
                Path(folder),
                args.iterations,
                args.interval,
                args.workers,
                Limits(mib=args.limit),
                args.seed,
            )
    command = shlex.join(['python', 'tools/soak_memory.py', *sys.argv[1:]])
    paths = save_soak(result, args.out, command)
    print(f'{soak_text(result)}\n\nWritten: {", ".join(map(str, paths))}')
    if not result.verdict.is_flat:
        raise SystemExit(1)


def check(args: argparse.Namespace) -> None:
    check_soak(args.iterations, args.interval, args.workers)
    if not args.limit > 0:
        raise ValueError(f'--limit must be above 0, got {args.limit:g}')
    for ending in ('json', 'png', 'md'):
        path = args.out.with_name(f'{args.out.name}.{ending}')
        if path.exists() and not args.force:
            raise ValueError(f'--out: {path} is there already: --force replaces it')


if __name__ == '__main__':
    main()
