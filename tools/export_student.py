"""Ship the student of a distillation: a config and a checkpoint for mmseg alone (a classifier's for
mmpretrain alone), and ONNX of a segmentor."""

import argparse
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmrazor_tat.export import check_hub_folder, export_student, write_hub_folder
from mmrazor_tat.utils.command_line import add_cfg_options, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='of the recipe: a path, or PACKAGE::NAME')
    parser.add_argument('checkpoint', help='of its training')
    parser.add_argument(
        'out', type=Path, help='folder for student.py, student.pth, student.onnx and export.json'
    )
    parser.add_argument(
        '--image', metavar='PATH', help='for the proof; default: the first validation image'
    )
    parser.add_argument('--onnx', action='store_true', help='write student.onnx as well')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--onnx-size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='of the input of student.onnx; default: that of the test image',
    )
    sizes.add_argument('--onnx-dynamic', action='store_true', help='any height and width')
    text = 'also a folder for the hubs of Hugging Face and ModelScope: safetensors and a model card'
    parser.add_argument('--hub', type=Path, metavar='FOLDER', help=text)
    parser.add_argument('--force', action='store_true', help='write over an earlier export')
    add_cfg_options(parser, 'settings that override the config, e.g. data_root=PATH')
    args = parser.parse_args()
    if (args.onnx_size or args.onnx_dynamic) and not args.onnx:
        parser.error('--onnx-size and --onnx-dynamic need --onnx')
    return args


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    onnx = args.onnx and ('dynamic' if args.onnx_dynamic else args.onnx_size or True)
    with one_line_errors('export_student'):
        if args.hub is not None:
            check_hub_folder(args.hub)
            if args.hub.resolve() in (args.out.resolve(), *args.out.resolve().parents):
                raise ValueError(f'--hub {args.hub} holds {args.out}: choose another folder')
        report = export_student(
            args.config, args.checkpoint, args.out, args.image, onnx, args.force, args.cfg_options
        )
        if args.hub is not None:
            write_hub_folder(
                args.config, args.checkpoint, args.out, args.hub, report, args.cfg_options
            )
    print_report(report, args.out)
    if args.hub is not None:
        print_hub(args.hub)


def print_report(report: dict[str, Any], out: Path) -> None:
    network, proof = report['network'], report['proof']
    print(
        f'{network["type"]}, {network["backbone"]} + '
        f'{network.get("decode_head") or network["head"]}, '
        f'{len(network["classes"])} classes, {network["parameters"] / 1e6:.2f} M parameters'
    )
    if report['left_out']:
        print(f'left out of the config: {", ".join(report["left_out"])}')
    if 'head' in network:
        what = f'{len(network["classes"])} scores and the label by mmpretrain.apis'
    else:
        size = ' x '.join(map(str, proof['logits'][1:]))
        what = f'{len(network["classes"])} x {size} logits and the labels by mmseg.apis'
    print(f'{proof["image"]["name"]}: {what} equal those of the recipe, bit by bit')
    if 'onnx' in report:
        onnx = report['onnx']
        print(f'student.onnx: input {text(onnx["input"])} -> logits {text(onnx["logits"])}')
        if onnx['test_mode'] != 'whole':
            print('  it computes one window: sliding it over an image is left to its caller')
        for case in onnx['cases']:
            worst, most = f'{case["difference"]:.1e}', f'{case["tolerance"]:.1e}'
            print(f'  {text(case["shape"])}: greatest difference {worst} (at most {most})')
    print(f'{out}: {", ".join([*report["sha256"], "export.json"])}')


def print_hub(folder: Path) -> None:
    print(f'{folder}: {", ".join(sorted(path.name for path in folder.iterdir()))}')
    print(f'fill in the licence in {folder / "README.md"}')


def text(shape: list) -> str:
    return ' x '.join(map(str, shape))


if __name__ == '__main__':
    main()
