"""Train a config: a plain model or a distillation recipe."""

import argparse

from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.engine.runner.errors import run_errors
from mmrazor_tat.engine.runner.guarded_runner import (
    GuardedRunner,
    add_guards,
    drop_guard,
    leave_out_checks,
)
from mmrazor_tat.engine.runner.optimizer import use_amp
from mmrazor_tat.utils.command_line import add_common_arguments, load_config, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH from the latest one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from auto_scale_lr.base_batch_size to the actual batch',
    )
    parser.add_argument(
        '--allow-nonfinite',
        action='store_true',
        help='train on where a loss is NaN or infinite, and write such weights into checkpoints',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with run_errors('train', args.trust_checkpoints):
        with one_line_errors('train'):
            cfg = config_of(args)
        (Runner if args.no_checks else GuardedRunner).from_cfg(cfg).train()


def config_of(args: argparse.Namespace) -> Config:
    cfg = load_config(args)
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(
                f'--auto-scale-lr: {args.config} has no auto_scale_lr.base_batch_size, the batch '
                'size that its learning rate is meant for'
            )
        cfg.auto_scale_lr.enable = True
    add_guards(cfg)
    if args.allow_nonfinite:
        drop_guard(cfg, 'FiniteLossHook')
    if args.no_checks:
        leave_out_checks(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    return cfg


if __name__ == '__main__':
    main()
