"""List what the modules of a network give: where a recorder can read, and what it gets there."""

import argparse
import re

import torch

from mmrazor_tat.models.forward import input_channels
from mmrazor_tat.recipes.features import build_model, feature_table, features_of, input_size
from mmrazor_tat.utils.command_line import one_line_errors
from mmrazor_tat.utils.config_options import read_config
from mmrazor_tat.utils.configs import model_of
from mmrazor_tat.utils.errors import naming


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
    try:
        re.compile(args.filter)
    except re.error as error:
        raise SystemExit(f'--filter {args.filter!r} is no regular expression: {error}') from error
    with one_line_errors('inspect_features'):
        if args.size is not None and min(args.size) < 1:
            raise ValueError(f'--size must be two whole numbers above 0, got {args.size}')
        cfg = read_config(args.config, {})
        cfg.model = model_of(cfg, args.part)
        with naming(f'{args.config}, model'):
            model = build_model(cfg)
            inputs = torch.zeros(1, input_channels(model), *(args.size or input_size(cfg)))
            features = features_of(model, inputs)
        rows = feature_table(features, args.filter)
        if len(rows) == 1:
            raise ValueError(f'--filter {args.filter!r}: no module that runs has such a name')
    print(f'{type(model).__name__}, input {" x ".join(map(str, inputs.shape))}')
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == '__main__':
    main()
