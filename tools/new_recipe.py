"""Write a distillation recipe for a teacher and a student: any two configs, no arithmetic."""

import argparse
from pathlib import Path

from mmrazor_tat.recipes import METHODS, Recipe, describe_views, new_recipe, other_classes
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
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with one_line_errors('new_recipe'):
        if args.force or not args.out.exists():
            print('both networks are built and run once', flush=True)
        sources = {
            (role, kind): getattr(args, f'{role}_{kind}')
            for role in ('student', 'teacher')
            for kind in ('feature', 'logits')
        }
        recipe = new_recipe(
            args.teacher,
            args.student,
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
        how = 'It has been built, and its losses have been computed once.'
        print(f'\n{args.out} is written. {how}')
        if args.teacher_ckpt is None:
            print(f'Train: python tools/train.py {args.out} --cfg-options model.teacher_ckpt=PATH')
        else:
            print(f'The teacher is loaded completely. Train: python tools/train.py {args.out}')


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
