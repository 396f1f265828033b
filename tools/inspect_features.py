"""List what the modules of a network give: where a recorder can read, and what it gets there."""

import argparse
import re

import torch
from mmengine import Config

from mmrazor_tat import compat
from mmrazor_tat.engine.features import build_model, feature_table, features_of, input_size
from mmrazor_tat.engine.model_config import config_file, model_of


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='a config, or PACKAGE::NAME of an installed package')
    parser.add_argument(
        '--filter',
        default='',
        metavar='PATTERN',
        help="a regular expression, e.g. 'decode_head' or 'layer4.*relu'; default: all",
    )
    parser.add_argument(
        '--part',
        choices=['student', 'teacher'],
        help='of a distillation recipe: whose modules (default: student)',
    )
    parser.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'), help='of the input')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    compat.silence_harmless_warnings()
    try:
        re.compile(args.filter)
    except re.error as error:
        raise SystemExit(f'--filter {args.filter!r} is no regular expression: {error}') from error
    try:
        cfg = Config.fromfile(config_file(args.config))
        cfg.model = model_of(cfg, args.part)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(f'inspect_features: {error}') from error
    size = tuple(args.size or input_size(cfg))
    model = build_model(cfg)
    rows = feature_table(features_of(model, torch.zeros(1, 3, *size)), args.filter)
    if len(rows) == 1:
        raise SystemExit(f'--filter {args.filter!r}: no module that runs has such a name')
    print(f'{type(model).__name__}, input 1 x 3 x {size[0]} x {size[1]}')
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == '__main__':
    main()
