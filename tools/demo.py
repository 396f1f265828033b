"""Train a teacher, a plain student and a TaT student on generated scenes and compare them."""

import argparse
from pathlib import Path

from mmrazor_tat import compat
from mmrazor_tat.datasets.toy_scenes import write_toy_voc
from mmrazor_tat.engine import demo


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--iterations', type=int, help='of each training; default: the config')
    parser.add_argument('--num-train', type=int, default=1000, help='training scenes')
    parser.add_argument('--num-val', type=int, default=100, help='validation scenes')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    compat.silence_harmless_warnings()
    data = write_toy_voc(
        args.work_dir / 'data', num_train=args.num_train, num_val=args.num_val, size=(64, 64)
    )
    print(f'{args.num_train} + {args.num_val} scenes written to {data}')

    def train(name, config, **kwargs):
        return demo.train(name, config, data, args.work_dir, args.iterations, args.seed, **kwargs)

    teacher = train('teacher', 'teacher')
    initial = demo.initial_weights('student', args.work_dir / 'student_start.pth', args.seed)
    student = train('student', 'student', initial=initial)
    tat_student = train('TaT student', 'tat_student', initial=initial, teacher=teacher)

    outcomes = [teacher, student, tat_student]
    panels, attention, page = demo.report(*outcomes, args.work_dir)
    print(
        f'\n{demo.table(outcomes)}\n\nSegmentation: {panels}\nAttention: {attention}\n'
        f'Report: {page}'
    )


if __name__ == '__main__':
    main()
