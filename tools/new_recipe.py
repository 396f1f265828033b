"""Write a distillation recipe for a teacher and a student: any two configs, no arithmetic."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from mmrazor_tat.data_preparation import read_own_folders
from mmrazor_tat.recipes import (
    METHODS,
    Recipe,
    RecipeError,
    config_to_inherit,
    describe_views,
    new_recipe,
    other_classes,
    write_config_on_data,
)
from mmrazor_tat.utils.command_line import one_line_errors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('teacher', help="the teacher's config: a path, or mmseg::NAME")
    parser.add_argument('student', help="the student's config, whose training stays as it is")
    parser.add_argument('--out', type=Path, required=True, help='the recipe, a .py file')
    parser.add_argument('--method', choices=METHODS, default='tat')
    parser.add_argument('--teacher-ckpt', metavar='PATH', help='file or URL; checked now')
    parser.add_argument(
        '--floor',
        type=float,
        metavar='VALUE',
        help='training stops where the teacher is below it on 100 validation images',
    )
    parser.add_argument(
        '--balance',
        type=float,
        nargs='?',
        const=0.5,
        metavar='SHARE',
        help="the losses' weights set themselves to this share of the gradient (default: 0.5)",
    )
    for role in ('student', 'teacher'):
        parser.add_argument(
            f'--{role}-feature',
            metavar='MODULE',
            help="what to read instead of the head's last map before an activation",
        )
        parser.add_argument(f'--{role}-logits', metavar='MODULE', help='the same for the logits')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="of the input; default: the student's training crop",
    )
    parser.add_argument('--force', action='store_true', help='write over an existing file')
    data = parser.add_argument_group('a data set of your own')
    data.add_argument('--data', type=Path, metavar='ROOT', help='images and masks in two folders')
    data.add_argument('--classes', type=Path, metavar='FILE', help='the name of a class per line')
    data.add_argument(
        '--label-values', type=int, nargs='+', metavar='V', help='each class in a mask'
    )
    data.add_argument('--ignore-index', type=int, help='a value that does not count, beside 255')
    data.add_argument('--reduce-zero-label', action='store_true', help='classes begin with 1')
    args = parser.parse_args()
    if (args.data is None) != (args.classes is None):
        parser.error('--data and --classes go together')
    return args


def main() -> None:
    args = parse_args()
    files = own_configs(args) if args.data is not None else {}
    with one_line_errors('new_recipe'), kept_on_error(list(files.values())):
        if args.force or not args.out.exists():
            print('both networks are built and run once', flush=True)
        configs = dict(teacher=args.teacher, student=args.student)
        if files:
            on_own_data(args, files)
            configs = {role: str(file) for role, file in files.items()}
        sources = {
            (role, kind): getattr(args, f'{role}_{kind}')
            for role in ('student', 'teacher')
            for kind in ('feature', 'logits')
        }
        recipe = new_recipe(
            configs['teacher'],
            configs['student'],
            args.out,
            args.method,
            args.teacher_ckpt,
            args.floor,
            sources,
            args.size,
            args.force,
            args.balance,
        )
        print_choice(recipe)
        how = 'It has been built, and the losses of the distillation have been computed once.'
        print(f'\n{args.out} is written. {how}')
        if files and args.teacher_ckpt is None:
            print(
                f'First the teacher, on these classes: python tools/train.py {configs["teacher"]}'
            )
        if args.teacher_ckpt is None:
            print(f'Train: python tools/train.py {args.out} --cfg-options model.teacher_ckpt=PATH')
        else:
            print(f'The teacher is loaded completely. Train: python tools/train.py {args.out}')


def own_configs(args: argparse.Namespace) -> dict[str, Path]:
    """Where the configs of both networks on the user's data are written, beside the recipe."""
    return {
        role: args.out.with_name(f'{args.out.stem}_{role}.py') for role in ('teacher', 'student')
    }


def on_own_data(args: argparse.Namespace, files: dict[str, Path]) -> None:
    """Write these configs, when all else has been looked at."""
    for file in (args.out, *files.values()):
        if file.exists() and not args.force:
            raise RecipeError(f'{file} exists: choose another --out, or add --force')
    for role in files:
        config_to_inherit(getattr(args, role))
    of_masks = args.label_values, args.ignore_index, args.reduce_zero_label
    found = read_own_folders(args.data, args.classes, *of_masks, args.force)
    counts = ', '.join(f'{count} {name}' for name, count in found.counts.items())
    print(f'{args.data}: {counts}; {len(found.classes)} classes: {", ".join(found.classes)}')
    print(*found.notes, sep='\n', end='\n' * bool(found.notes))
    for role, file in files.items():
        write_config_on_data(getattr(args, role), file, found.dataset, found.classes)


@contextlib.contextmanager
def kept_on_error(files: list[Path]) -> Iterator[None]:
    """After an error these files are as they were."""
    before = {file: file.read_text() if file.exists() else None for file in files}
    try:
        yield
    except BaseException:
        for file, text in before.items():
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.write_text(text)
        raise


def print_choice(recipe: Recipe) -> None:
    print(f'input {recipe.size[0]} x {recipe.size[1]}')
    for network in (recipe.student, recipe.teacher):
        parameters = sum(p.numel() for p in network.model.parameters()) / 1e6
        print(f'{network.role}  {network.name}, {parameters:.1f} M parameters')
        for kind, point in network.points.items():
            print(
                f'  {kind}: {point.source} ({point.what}), {point.channels} channels, '
                f'{point.size[0]} x {point.size[1]}'
            )
    if classes := other_classes(recipe.student, recipe.teacher):
        print(
            f'  the teacher has {classes[1]} classes, the student {classes[0]}: its logits mean '
            'nothing here, and it is not evaluated'
        )
    if recipe.views is not None:
        for line in describe_views(recipe.views, recipe.student.points['feature'].size):
            print(f'  {line}')


if __name__ == '__main__':
    main()
