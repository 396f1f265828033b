"""Train a student on generated scenes twice, plainly and with TaT by a trained teacher; compare."""

import argparse
from pathlib import Path

from mmengine import Config
from mmengine.logging import MMLogger

from mmrazor_tat import compat, config_path
from mmrazor_tat.benchmark import demo
from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.utils.networks import initial_weights


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--iterations', type=int, default=1000, help='of each student')
    parser.add_argument('--num-train', type=int, default=2000, help='training scenes')
    parser.add_argument('--num-val', type=int, default=100, help='validation scenes')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--train-teacher',
        nargs='?',
        type=int,
        const=demo.TEACHER_ITERATIONS,
        metavar='ITERATIONS',
        help='train the teacher too (%(const)s iterations), instead of taking the shipped one',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    compat.silence_harmless_warnings()
    MMLogger.get_instance('demo', log_level='ERROR')  # mmengine names every checkpoint
    data = write_toy_voc(
        args.work_dir / 'data', num_train=args.num_train, num_val=args.num_val, size=(64, 64)
    )
    print(f'{args.num_train} + {args.num_val} scenes written to {data}')
    student = Config.fromfile(config_path('small/demo/student.py'))
    initial = initial_weights(student, args.work_dir / 'student_start.pth', args.seed)

    def training(name, config, iterations=args.iterations, **kwargs):
        places = dict(data_root=data, work_dir=args.work_dir, iterations=iterations, seed=args.seed)
        return dict(name=name, config=config, **places, **kwargs)

    weights = Path(config_path(demo.TEACHER))
    if args.train_teacher:
        demo.train_side_by_side(training('teacher', 'teacher', args.train_teacher))
        checkpoint = args.work_dir / 'teacher' / f'iter_{args.train_teacher}.pth'
        weights = demo.save_half(checkpoint, args.work_dir / 'teacher.pth')
        print(f"The teacher's weights in half precision: {weights}")
    (student,), (tat_student, teacher) = demo.train_side_by_side(
        training('student', 'student', initial=initial),
        training('TaT student', 'tat_student', initial=initial, teacher=str(weights)),
    )

    panels, attention, page = demo.report(args.work_dir)
    table = demo.table([teacher, student, tat_student])
    print(f'\n{table}\n\nSegmentation: {panels}\nAttention: {attention}\nReport: {page}')


if __name__ == '__main__':
    main()
