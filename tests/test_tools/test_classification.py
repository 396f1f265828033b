"""The tools on classifiers, with real trainings of four iterations."""

import csv
import json
import re

import pytest
from PIL import Image

SUITE = """
title = 'Small'
seeds = (0,)
metric = 'accuracy/top1'
baseline = 'student'
toy_data = dict(layout='cifar', num_train=64, num_test=20)
options = {
    'train_dataloader.batch_size': 8, 'train_cfg.max_iters': 4, 'train_cfg.val_interval': 2,
    'default_hooks.checkpoint.interval': 2, 'default_hooks.logger.interval': 1}
runs = dict(
    teacher=dict(config='small/demo_cifar/teacher.py', baseline=None),
    student=dict(config='small/demo_cifar/student.py', label='plain student', group='Small'),
    kd=dict(
        config='small/demo_cifar/kd_student.py', label='KD', teacher='teacher', start='student',
        group='Small',
        options={'default_hooks.teacher_evaluation.type': 'mmrazor.TeacherEvaluationHook'}))
"""

pytestmark = pytest.mark.mmpretrain


@pytest.fixture(scope='module')
def ran(repo, command, once):
    """(folder, output) of the suite."""

    def make(folder) -> str:
        (folder / 'small.py').write_text(SUITE)
        arguments = [folder / 'small.py', '--out', folder / 'out', '--jobs', 2]
        return command(repo / 'tools/benchmark.py', *arguments)

    folder, output = once('classification_suite', make)
    return folder / 'out', output


def test_the_suite(ran):
    out, output = ran
    assert '3 of 3 runs are finished' in output
    assert 'seed 0 finished: accuracy/top1 ' in output
    text = (out / 'small.md').read_text()
    assert '\n\n## Small\n\n| run | seeds | last accuracy/top1 |' in text
    assert ', mmpretrain ' in text
    with (out / 'small.csv').open() as file:
        of = {line['run']: line for line in csv.DictReader(file)}
    assert [of[name]['group'] for name in of] == ['', 'Small', 'Small']
    # Each under its own name: the teacher's value is not taken for the student's.
    log = next((out / 'runs/kd/seed0').glob('*/vis_data/scalars.json')).read_text()
    last = json.loads([line for line in log.splitlines() if 'accuracy/top1' in line][-1])
    for name in ('accuracy/top1', 'teacher/accuracy/top1'):
        assert float(of['kd'][f'last {name}']) == last[name]
    for name in of:
        record = json.loads((out / f'runs/{name}/seed0/run.json').read_text())
        curve = record['results']['metrics']['accuracy/top1']['curve']
        assert [step for step, _ in curve] == [2, 4]
        assert list((out / f'runs/{name}/seed0').glob('best_accuracy_top1_iter_*.pth'))


def test_the_pictures_of_a_test(ran, call, here, repo, tmp_path):
    out, _ = ran
    run = out / 'runs/kd/seed0'
    arguments = [repo / 'configs/small/demo_cifar/kd_student.py', run / 'iter_4.pth']
    options = ['--work-dir', tmp_path, '--cfg-options', f'data_root={out / "data"}']
    here('test.py', *arguments, '--show-dir', tmp_path / 'shown', *options)
    shown = list((tmp_path / 'shown').iterdir())
    assert len(shown) == 20
    assert {Image.open(path).size for path in shown} == {(224, 224)}
    code = call('test', *arguments, '--out', tmp_path / 'maps', *options).code
    assert code.startswith('--out: label maps are of segmentation') and 'classifier' in code
    assert not (tmp_path / 'maps').exists()


def test_curves_and_report(ran, here, tmp_path):
    out, _ = ran
    runs = [out / f'runs/{name}/seed0' for name in ('kd', 'student')]
    words = '--labels', 'a', 'b', '--out', tmp_path / 'curves.png'
    assert 'validation accuracy/top1: student, teacher' in here('plot_run.py', *runs, *words)
    output = here('report.py', runs[0], '--out', tmp_path / 'page.html')
    assert 'no panels and no attention pictures: these are of' in output
    assert '<th class="number">last accuracy/top1</th>' in (tmp_path / 'page.html').read_text()


@pytest.mark.parametrize(
    ('tool', 'more', 'error'),
    [
        ('compare_segmentation', [], 'compare_segmentation: panels are of segmentation, and'),
        ('visualize_attention', ['a.png'], 'visualize_attention: attention pictures are of segm'),
        ('export_student', ['out'], "export_student: .*'mmrazor.CIFARResNet' is needed, and is .*"),
    ],
)
def test_what_is_of_segmentation_says_so(ran, call, repo, tool, more, error):
    checkpoint = ran[0] / 'runs/kd/seed0/iter_4.pth'
    ended = call(tool, repo / 'configs/small/demo_cifar/kd_student.py', checkpoint, *more)
    assert '\n' not in ended.code
    assert re.match(error, ended.code), ended.code
