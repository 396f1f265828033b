"""Parameters and multiply-adds of a recipe's teacher and student side by side, or of a network."""

import argparse

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm

from mmrazor_tat.models.forward import input_channels
from mmrazor_tat.recipes.features import build_model, input_size
from mmrazor_tat.utils.command_line import add_cfg_options, one_line_errors
from mmrazor_tat.utils.config_options import read_config
from mmrazor_tat.utils.configs import is_recipe
from mmrazor_tat.utils.measure import markdown_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='of a recipe or of a plain network')
    text = "of the image; default: the config's training crop"
    parser.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'), help=text)
    add_cfg_options(parser, 'settings that override the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')  # it names every operator without products
    with one_line_errors('get_flops'):
        cfg = read_config(args.config, args.cfg_options)
        networks = dict(network=cfg.model)
        if is_recipe(cfg):
            networks = dict(teacher=cfg.model.teacher, student=cfg.model.architecture)
            cfg.model = networks['student']
        size = tuple(args.size or input_size(cfg))
        rows = []
        for role, network in networks.items():
            cfg.model = network
            rows.append([role, *complexity(revert_sync_batchnorm(build_model(cfg)), size)])
    if len(rows) == 2:
        ratios = [f'{a / b:.1f} x' for a, b in zip(rows[0][2:], rows[1][2:])]
        rows.append(['teacher / student', '', *ratios])
    texts = [row[:2] + [x if isinstance(x, str) else f'{x:,.2f}' for x in row[2:]] for row in rows]
    print(f'input 1 x {" x ".join(map(str, size))}')
    print(markdown_table(['', 'network', 'parameters, M', 'multiply-adds, G'], texts))


def complexity(model: torch.nn.Module, size: tuple) -> list:
    inputs = torch.zeros(1, input_channels(model), *size)
    found = get_model_complexity_info(model, inputs=(inputs,), show_table=False, show_arch=False)
    head = getattr(model, 'decode_head', None) or model.head
    head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    name = f'{type(model.backbone).__name__} + {type(head).__name__}'
    return [name, found['params'] / 1e6, found['flops'] / 1e9]


if __name__ == '__main__':
    main()
