"""Time and mIoU of exported networks (teacher, plain and distilled student) in runtimes."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmrazor_tat.export import RUNTIMES, compare_deployed
from mmrazor_tat.utils.command_line import add_cfg_options, one_line_errors
from mmrazor_tat.utils.files import write_atomically
from mmrazor_tat.utils.measure import describe_machine, machine_line, markdown_table


def named_folder(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition('=')
    if not folder or '/' in name:
        name, folder = Path(text).name, text
    return name, Path(folder)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    text = 'what export_student.py wrote with --onnx --onnx-dynamic'
    parser.add_argument('folders', nargs='+', type=named_folder, metavar='NAME=FOLDER', help=text)
    text = 'int8 is quantised after training'
    parser.add_argument(
        '--runtimes', nargs='+', choices=RUNTIMES, default=['torch', 'onnxruntime'], help=text
    )
    parser.add_argument('--num-images', type=int, default=100, help='of the validation')
    parser.add_argument('--out', type=Path, help='a .md file for the table')
    add_cfg_options(parser, "settings of the first folder's config, e.g. data_root=PATH")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    rows = []
    with one_line_errors('compare_deployed'):
        folders = dict(args.folders)
        if len(folders) < len(args.folders):
            raise ValueError('two folders have one name: give them others, NAME=FOLDER')
        for of in compare_deployed(folders, args.runtimes, args.num_images, args.cfg_options):
            numbers = f'{of.parameters / 1e6:.2f}', f'{of.megabytes:.1f}'
            rows.append([of.name, of.runtime, *numbers, f'{of.milliseconds:.1f}', f'{of.miou:.2f}'])
            print(*rows[-1], sep='  ', flush=True)
        header = ['network', 'runtime', 'parameters, M', 'file, MB', 'ms an image', 'mIoU']
        machine = machine_line(describe_machine())
        text = f'{markdown_table(header, rows)}\n\n{of.images} images, one by one; {machine}\n'
        print(f'\n{text}')
        if args.out is not None:
            write_atomically(args.out, text)


if __name__ == '__main__':
    main()
