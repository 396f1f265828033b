"""Why does the student not improve? Minutes before a training, or on a finished run."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmrazor_tat.diagnosis import diagnose_run, save_diagnosis, text_of
from mmrazor_tat.utils.command_line import add_cfg_options, check_file, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('subject', metavar='CONFIG|WORK_DIR', help='a recipe, or a run of one')
    parser.add_argument(
        '--checkpoint', help="of the recipe's training; default: its start, of a run its last"
    )
    parser.add_argument(
        '--plain', type=Path, metavar='WORK_DIR', help='of the student without distillation'
    )
    parser.add_argument(
        '--num-images', type=int, help='of the validation (default: 12; classification: 256)'
    )
    parser.add_argument(
        '--num-batches', type=int, default=4, help='of the training (default: %(default)s)'
    )
    parser.add_argument('--out', type=Path, metavar='FILE.html', help='a page with pictures')
    parser.add_argument('--json', type=Path, metavar='FILE.json', help='all that was measured')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    with one_line_errors('diagnose'):
        for name, path, ending in (('out', args.out, '.html'), ('json', args.json, '.json')):
            if path is not None:
                check_file(name, path, ending)
        found = diagnose_run(
            args.subject,
            args.checkpoint,
            args.plain,
            args.cfg_options,
            args.num_images,
            args.num_batches,
            with_pictures=args.out is not None,
        )
        print(text_of(found))
        save_diagnosis(found, args.out, args.json, f'Diagnosis of {args.subject}')
        for path in filter(None, (args.out, args.json)):
            print(f'{path} is written')


if __name__ == '__main__':
    main()
