"""Run a suite: methods x students x seeds, each in a process of its own, and report on them.

The same command goes on where it was stopped. The report is OUT/SUITE.md, with SUITE.json,
SUITE.csv, SUITE_bars.png and SUITE_curves.png beside it: several suites may share one OUT, and then
train what they have in common once.
"""

import argparse
import sys
from pathlib import Path

from mmrazor_tat import compat
from mmrazor_tat.benchmark.execution import LAUNCHERS, Launch, dry_run, report_only, run_suite
from mmrazor_tat.benchmark.suites import Plan, SuiteError, load_suite
from mmrazor_tat.benchmark.suites.jobs import batch_warning
from mmrazor_tat.benchmark.suites.options import read_options
from mmrazor_tat.utils.command_line import add_cfg_options


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('suite', help="a suite's file, or the name of a shipped one: tiny")
    parser.add_argument('--out', type=Path, help='default: work_dirs/benchmark/SUITE')
    parser.add_argument('--seeds', type=int, nargs='+', help="instead of the suite's, not a run's")
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='NAME',
        help='these runs, by name or shell pattern ("resnet56-*"), and the teachers that they need',
    )
    add_cfg_options(parser, "settings of every run, over the suite's, e.g. data_root=PATH")
    parser.add_argument('--jobs', type=int, default=1, help='runs at once, on a GPU or cores each')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale every learning rate from auto_scale_lr.base_batch_size to the actual batch',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--processes', type=int, default=1, help='of each run, with a launcher')
    text = "submitit's parameters: partition=gpu nodes=2 timeout_min=1440 gpus_per_node=4"
    add_cfg_options(parser, text, '--slurm')
    parser.add_argument('--dry-run', action='store_true', help='print the commands only')
    parser.add_argument('--report-only', action='store_true', help='report on what is there')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    compat.silence_harmless_warnings()
    try:
        launch = Launch(args.jobs, args.launcher, args.processes, args.slurm)
        suite = load_suite(args.suite, args.seeds)
        out = args.out or Path('work_dirs/benchmark') / suite.name
        options = read_options(args.cfg_options, '--cfg-options')
        if args.auto_scale_lr:
            options['auto_scale_lr.enable'] = True
        plan = Plan(suite, out, options, args.processes)
        if args.dry_run:
            print('\n'.join(dry_run(plan, args.only, launch)))
            warning = batch_warning(plan.jobs(args.only))
            if warning is not None:
                print(warning, file=sys.stderr)
        elif args.report_only:
            print(f'Written: {report_only(plan)}')
        else:
            return run_suite(plan, args.only, launch)
    except SuiteError as error:
        print(f'benchmark.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
