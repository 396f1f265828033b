"""The benchmark tool as a user runs it, with real trainings of four iterations."""

import csv
import json
import subprocess
import sys
import time

import pytest

from mmrazor_tat.benchmark.suites import plan

SUITE = """
title = 'Small'
seeds = (0,)
metric = 'mIoU'
baseline = 'student'
toy_data = dict(num_train=12, num_val=4, size=(64, 64))
options = {
    'crop_size': (48, 48), 'train_dataloader.batch_size': 2,
    'train_cfg.max_iters': 4, 'train_cfg.val_interval': 2,
    'default_hooks.checkpoint.interval': 2, 'default_hooks.logger.interval': 1}
runs = dict(
    teacher=dict(config='small/demo/teacher.py', baseline=None),
    student=dict(
        config='small/demo/student.py', label='plain student', paper=72.07,
        options={'model.decode_head.dropout_ratio': 0.0}),
    tat=dict(
        config='small/demo/tat_student.py', label='TaT', teacher='teacher', start='student',
        options={'model.architecture.decode_head.dropout_ratio': 0.0}))
"""


@pytest.fixture(scope='module')
def suite(tmp_path_factory):
    path = tmp_path_factory.mktemp('suite') / 'small.py'
    path.write_text(SUITE)
    return path


@pytest.fixture(scope='module')
def ran(repo, command, suite):
    """(folder, output): killed as soon as the teacher had a checkpoint, and called again."""
    out = suite.parent / 'out'
    tool = [repo / 'tools/benchmark.py', suite, '--out', out]
    first = subprocess.Popen([sys.executable, *map(str, tool)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 180
    while not (out / 'runs/teacher/seed0/last_checkpoint').exists():
        assert first.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    first.kill()
    first.wait()
    return out, command(*tool, '--jobs', 2)


def lines(folder) -> list[list[dict]]:
    """What was logged at each start."""
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in files]


def record(out, name: str) -> dict:
    return json.loads((out / f'runs/{name}/seed0/run.json').read_text())


def test_a_killed_run_goes_on(ran):
    """The iterations before the kill are not run again, and the validation is made up for."""
    out, output = ran
    assert '[1/3] teacher seed 0 resumed from iter_2.pth' in output
    first, second = lines(out / 'runs/teacher/seed0')
    assert [line['iter'] for line in first if 'loss' in line] == [1, 2]
    assert [line['iter'] for line in second if 'loss' in line] == [3, 4]
    teacher = record(out, 'teacher')
    assert (teacher['status'], teacher['starts']) == ('finished', 2)
    assert [step for step, _ in teacher['results']['metrics']['mIoU']['curve']] == [2, 4]
    assert teacher['results']['iterations'] == 4


def test_all_are_finished(ran):
    out, output = ran
    assert output.endswith(f'3 of 3 runs are finished: {out / "small.md"}\n')
    for name in ('student', 'tat'):
        assert [len(start) for start in lines(out / f'runs/{name}/seed0')] == [6]
        of = record(out, name)
        assert of['parameters'] == pytest.approx(0.25e6, rel=0.05)
        assert of['peak_mib'] > 200 and 2 < of['seconds'] < 120
        assert f'init_cfg.checkpoint={out}/starts/student_seed0.pth' in of['command']
    assert f'teacher_ckpt={out}/runs/teacher/seed0/iter_4.pth' in record(out, 'tat')['command']
    log = (out / 'runs/tat/seed0/run.log').read_text()
    assert log.count('distill.loss_tat') >= 4 and 'starts/student_seed0.pth' in log
    # Same weights, same images in the same order: the task loss of the first iteration, without
    # dropout, whose generator a recipe has used differently.
    student, tat = (lines(out / f'runs/{name}/seed0')[0][0] for name in ('student', 'tat'))
    assert tat['student.decode.loss_ce'] == pytest.approx(student['decode.loss_ce'], rel=1e-5)


@pytest.fixture
def benchmark(call, monkeypatch, tmp_path):
    """A function that runs the tool in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call('benchmark', *arguments)


def test_the_report_alone(ran, benchmark, suite):
    out, _ = ran
    text = (out / 'small.md').read_text()
    assert text.startswith('# Small\n') and 'benchmark.py' in text
    table = [line for line in text.splitlines() if line.startswith('| ')]
    labels = [line.split(' | ')[0].strip('| ') for line in table]
    assert labels == ['run', '---', 'teacher', 'plain student', 'TaT']
    with (out / 'small.csv').open() as file:
        last = {line['run']: float(line['last mIoU']) for line in csv.DictReader(file)}
    assert f'| {last["tat"]:.2f} |' in table[-1]
    assert f'| {last["tat"] - last["student"]:+.2f} |' in table[-1]
    results = json.loads((out / 'small.json').read_text())
    assert results['versions']['mmrazor_tat'] and results['machine']['jobs'] == 2
    assert results['commit'] is None or len(results['commit'].rstrip('+')) == 40
    (out / 'small.md').unlink()
    ended = benchmark(suite, '--out', out, '--report-only')
    assert (ended.code, ended.printed) == (0, f'Written: {out / "small.md"}\n')
    assert (out / 'small.md').read_text() == text


def test_a_dry_run(benchmark, suite, tmp_path, monkeypatch):
    options = ['--cfg-options', 'data_root=/mine', 'train_cfg.max_iters=8']
    start = suite, '--dry-run', '--seeds', 3, 4, '--only', 'student'
    read = plan.read_config
    monkeypatch.setattr(plan, 'read_config', lambda path, of: 'tat' in path.name or read(path, of))
    ended = benchmark(*start, *options)
    assert ended.code == 0
    commands = ended.printed.splitlines()
    assert len(commands) == 2
    for words in ('small/demo/student.py', 'data_root=/mine', 'train_cfg.max_iters=8'):
        assert all(words in command for command in commands)
    folder = tmp_path / 'work_dirs/benchmark/small/runs/student'
    assert f'--work-dir {folder}/seed4 --resume' in commands[1]
    assert not (tmp_path / 'work_dirs').exists()


def test_auto_scale_lr(benchmark, tmp_path):
    suite = tmp_path / 'mmseg.py'
    config = 'students/deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512.py'
    suite.write_text(
        f"title, metric, seeds = 'One', 'mIoU', (0,)\nruns = dict(r18=dict(config={config!r}))\n"
    )
    ended = benchmark(suite, '--dry-run')
    assert ended.code == 0 and 'auto_scale_lr.enable' not in ended.printed
    assert 'warning: r18 trains with a batch of 4' in ended.errors
    ended = benchmark(suite, '--dry-run', '--auto-scale-lr')
    assert ended.code == 0 and 'auto_scale_lr.enable=True' in ended.printed
    assert 'warning' not in ended.errors


def test_errors_end_before_anything_runs(benchmark, suite, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, 'network_shapes', None)  # nor is a network built
    for arguments, error in (
        (['tinny'], "benchmark.py: there is no suite 'tinny'"),
        ([suite, '--only', 'tats'], "--only: there is no run 'tats'; nearest: 'tat'"),
        ([suite, '--seeds', -1], '--seeds must be different integers of at least 0'),
        ([suite, '--jobs', 0], '--jobs must be an integer of at least 1, got 0'),
        ([suite, '--cfg-options', 'randomness.seed=1'], '--cfg-options: randomness.seed is set by'),
        ([suite, '--cfg-options', 'foo'], "--cfg-options: KEY=VALUE is needed, got 'foo'"),
        ([suite, '--slurm', 'partition'], "--slurm: KEY=VALUE is needed, got 'partition'"),
        ([suite, '--only', 'teacher', '--out', suite], '--out must be a folder that can be made: '),
        (['tinny', '--processes', 2], '--processes 2 needs --launcher'),
    ):
        ended = benchmark(*arguments)
        assert ended.code == 2 and error in ended.errors, ended
    assert not (tmp_path / 'work_dirs').exists()
