"""Many runs, with a training of milliseconds in place of the real one: what is run when, what is
kept, what a kill leaves behind."""

import csv
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from fixtures.suites import HEAD, NETWORK, TAUGHT, TWO, fake_command, iterations, record, wait_for

from mmrazor_tat.benchmark.execution import dry_run, executors, report_only, run_suite, schedule
from mmrazor_tat.benchmark.execution import launch as launching
from mmrazor_tat.benchmark.execution import progress as progressing
from mmrazor_tat.benchmark.execution.executors import LocalExecutor, Task
from mmrazor_tat.benchmark.execution.launch import Launch
from mmrazor_tat.benchmark.execution.progress import Progress, duration
from mmrazor_tat.benchmark.report import write as report
from mmrazor_tat.benchmark.suites.definition import load_suite
from mmrazor_tat.benchmark.suites.options import SuiteError
from mmrazor_tat.benchmark.suites.plan import Plan


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(schedule, '_SECONDS_BETWEEN_LOOKS', 0.02)
    for name in ('plot_bars', 'plot_curves'):  # which have tests of their own
        monkeypatch.setattr(report, name, lambda suite, table, path: path.touch())


@pytest.fixture
def run(plan, tmp_path):
    """A function that runs a suite with the fake training; gives exit status and output."""

    def run(text: str = TWO, only=None, stream=None, jobs: int = 1, **options):
        output = stream or io.StringIO()
        planned = plan(text, **options)
        progress = Progress(len(planned.jobs(only)), output)
        status = run_suite(planned, only, Launch(jobs, gpus=()), fake_command(tmp_path), progress)
        return status, '' if stream else output.getvalue()

    return run


@pytest.fixture
def run_apart(run, tmp_path):
    """A function that runs a suite in a process of its own, which can be killed."""
    started = []

    def call(text, path):
        with path.open('w') as stream:
            status = run(text, stream=stream)[0]
        os._exit(status)

    def run_apart(text: str):
        path = tmp_path / 'output.txt'
        process = multiprocessing.get_context('fork').Process(target=call, args=(text, path))
        process.start()
        started.append(process)
        return process, path

    yield run_apart
    for process in started:
        process.kill()
        process.join()


def wait_for_pid(out: Path, name: str) -> int:
    """Of the fake training that pauses."""
    path = out / f'runs/{name}/seed0/pid'
    return int(wait_for(lambda: path.exists() and path.read_text()))


def is_alive(pid: int) -> bool:
    status = Path(f'/proc/{pid}/stat')
    return status.exists() and status.read_text().split()[2] != 'Z'


def with_option(name: str, key: str, value, text: str = TWO) -> str:
    """The suite with an option of one run."""
    start = f"{name}=dict(config='net.py'"
    return text.replace(start, f'{start}, options={{{key!r}: {value!r}}}')


def set_record(out: Path, name: str, seed: int = 0, **changes) -> None:
    path = out / f'runs/{name}/seed{seed}/run.json'
    path.write_text(json.dumps({**record(out, name, seed), **changes}))


def curve(out: Path, name: str) -> list:
    return record(out, name)['results']['metrics']['mIoU']['curve']


def test_all_are_run_and_recorded(run, out):
    text = with_option('b', 'fake.value', 30)
    status, output = run(text)
    assert status == 0
    assert '[1/4] a seed 0 started\n' in output
    assert '[4/4] b seed 1 finished: mIoU 34.00 (best 34.00) in 0:0' in output
    assert output.endswith(f'4 of 4 runs are finished: {out / "suite.md"}\n')
    of = record(out, 'b', 1)
    assert (of['run'], of['seed'], of['status'], of['starts']) == ('b', 1, 'finished', 1)
    assert of['results']['metrics']['mIoU']['curve'] == [[2, 32.0], [4, 34.0]]
    assert of['results']['iterations'] == 4
    assert 0 < of['seconds'] < 10 and of['error'] is None
    assert 5 < of['peak_mib'] < 60  # not this process's, which has torch loaded and is far larger
    assert of['machine']['processor'] and of['versions']['torch']
    assert [path.name for path in (out / 'runs/b/seed1').glob('*.pth')] == ['iter_4.pth']
    table = (out / 'suite.md').read_text()
    assert '| b | 2 | 34.00 ± 0.00 | 34.00 ± 0.00 | +20.00 ± 0.00 [20.00, 20.00] |' in table
    assert (out / 'suite_bars.png').exists() and (out / 'suite_curves.png').exists()
    # What is finished is not run again.
    status, output = run(text)
    assert status == 0 and '4 of 4 runs are finished already' in output
    assert ' started' not in output
    assert record(out, 'b', 1) == of and iterations(out, 'b', 1) == [1, 2, 3, 4]


BATCH = """
train_dataloader = dict(batch_size=4, dataset=dict(type='D'))
optim_wrapper = dict(optimizer=dict(lr=0.01))
auto_scale_lr = dict(enable=False, base_batch_size=16)
"""


def test_another_batch_than_the_learning_rate_is_meant_for(run, out):
    """Said once, before the first run, and kept with every run."""
    (out.parent / 'meant.py').write_text(NETWORK + BATCH)
    text = TWO.replace("b=dict(config='net.py')", "b=dict(config='meant.py')")
    output = run(text)[1]
    first, *rest = output.splitlines()
    assert first.startswith('warning: b trains with a batch of 4 (1 process x 4 images), but')
    assert not any('warning' in line for line in rest)
    assert 'warning' not in run(text)[1]  # nothing is left to run
    batches = [record(out, name)['batch'] for name in 'ab']
    assert batches[0] is None and (batches[1]['size'], batches[1]['lr']) == (4, 0.01)
    with next(out.glob('*.csv')).open() as file:
        assert [line['batch'] for line in csv.DictReader(file)] == ['', '', '4', '4']
    scaled = text.replace("'meant.py'", "'meant.py', options={'auto_scale_lr.enable': True}")
    with pytest.raises(SuiteError, match='auto_scale_lr.enable was False, is now True'):
        run(scaled, only=['b'])


def test_a_failing_run_does_not_stop_the_rest(run, out):
    text = with_option('a', 'fake.fails_at', 3)
    status, output = run(text)
    assert status == 1
    assert '[1/4] a seed 0 failed: ValueError: no luck at 3\n' in output
    assert output.endswith(
        'failed: a seed 0: ValueError: no luck at 3\nfailed: a seed 1: ValueError: no luck at 3\n'
        f'2 of 4 runs are finished: {out / "suite.md"}\n'
    )
    assert [record(out, 'b', seed)['status'] for seed in (0, 1)] == ['finished'] * 2
    of = record(out, 'a')
    assert of['status'] == 'failed' and of['error'] == 'ValueError: no luck at 3'
    assert of['log_tail'][-1] == 'ValueError: no luck at 3' and len(of['log_tail']) > 2
    assert '* a seed 0: failed: ValueError: no luck at 3' in (out / 'suite.md').read_text()
    # The next call tries again, from the last checkpoint.
    (out / 'mended').touch()
    status, output = run(text)
    assert status == 0 and '[1/4] a seed 0 resumed from iter_2.pth\n' in output
    assert iterations(out, 'a') == [1, 2, 3, 3, 4]
    assert record(out, 'a')['starts'] == 2 and record(out, 'a')['error'] is None
    assert 'Not finished' not in (out / 'suite.md').read_text()


def test_a_run_that_has_diverged_has_failed(run, out):
    """It ends with status 0 and a validation, but its figure enters no mean."""
    text = with_option('a', 'fake.diverges_at', 3)
    error = 'loss is not finite since iteration 3'
    status, output = run(text)
    assert status == 1 and f'[1/4] a seed 0 failed: {error}' in output
    of = record(out, 'a')
    assert of['status'] == 'failed' and of['error'].startswith(error)
    assert '| a | 0 of 2 |' in (out / 'suite.md').read_text()
    # Nothing is left to train: the next call does not start it again. Nor where it counted as
    # finished, by an earlier version, or was killed at its end.
    for before in ('failed', 'finished', 'running'):
        set_record(out, 'a', status=before)
        status, output = run(text)
        assert status == 1 and ' started' not in output and 'resumed' not in output
        assert f'failed: a seed 0: {error}' in output
        assert record(out, 'a') == of and iterations(out, 'a') == [1, 2, 3, 4]


@pytest.mark.parametrize('error', ['FileNotFoundError: ', 'OSError: no weights'])
def test_a_command_that_is_not_there_or_cannot_be_made(plan, out, error):
    def command(*_):
        if 'weights' in error:
            raise OSError('no weights')
        return ['/no/such/command']

    assert run_suite(plan(), ['a'], Launch(gpus=()), command, Progress(2, io.StringIO())) == 1
    assert record(out, 'a')['error'].startswith(error)


OTHER_METRIC = "the validation has no 'mIoU', the suite's metric: it has mDice, aAcc"


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        ("'fake.silent': 1", "it ended without a validation, so without 'mIoU'"),
        ("'fake.metric': 'mDice'", OTHER_METRIC),
        # mmengine ends such a run with a bare KeyError, after it has logged what there is.
        ("'fake.metric': 'mDice', 'fake.raises': 1", OTHER_METRIC),
    ],
)
def test_a_validation_without_the_suite_s_metric(run, out, options, error):
    text = with_option('a', 'x', 1).replace("'x': 1", options)
    assert run(text, only=['a'])[0] == 1
    assert record(out, 'a')['error'] == error
    is_in_log = any("KeyError: 'mIoU'" in line for line in record(out, 'a')['log_tail'])
    assert is_in_log == ('raises' in options)


def test_a_teacher_comes_first_and_is_handed_over(run, out):
    status, output = run(TAUGHT)
    assert status == 0
    events = [line.split('] ')[1] for line in output.splitlines() if 'started' in line]
    assert events == [f'{name} seed 0 started' for name in 'actb']
    (word,) = [w for w in record(out, 'b')['command'].split() if w.startswith('model.teacher_ckpt')]
    assert word == f'model.teacher_ckpt={out}/runs/t/seed0/iter_4.pth'
    assert 'teacher_ckpt' not in record(out, 'c')['command']
    shutil.rmtree(out / 'runs/b')
    (out / 'runs/t/seed0/iter_4.pth').unlink()
    assert run(TAUGHT)[0] == 1
    assert 'holds no checkpoint of it any more' in record(out, 'b')['error']


@pytest.mark.parametrize('option', ['fake.fails_at', 'fake.diverges_at'])
def test_dependants_of_a_failed_teacher_are_skipped(run, out, option):
    text = with_option('t', option, 1, TAUGHT)
    status, output = run(text)
    assert status == 1
    assert 'b seed 0 skipped: t failed\n' in output
    assert 'skipped: b seed 0: t failed\n' in output
    assert '* b seed 0: skipped: t failed' in (out / 'suite.md').read_text()
    assert [record(out, name)['status'] for name in 'ac'] == ['finished'] * 2
    assert run(text)[0] == 1 and not (out / 'runs/b').exists()


def test_changed_settings_are_refused(run, out):
    run()
    before = record(out, 'a')
    with pytest.raises(SuiteError) as error:
        run(TWO.replace("'train_cfg.max_iters': 4", "'train_cfg.max_iters': 6"))
    assert str(error.value) == (
        'a seed 0 is finished with other settings than the suite now asks for:\n'
        '  train_cfg.max_iters was 4, is now 6\n'
        f'Choose another --out, or delete {out}/runs/a/seed0'
    )
    with pytest.raises(SuiteError, match='fake.value was not set, is now 3'):
        run(options={'fake.value': 3})
    assert record(out, 'a') == before and iterations(out, 'a') == [1, 2, 3, 4]


def test_a_failed_run_without_a_checkpoint_may_be_changed(run, out):
    """Nothing of it is lost, and nothing of it is left in the results."""
    run(with_option('a', 'fake.fails_at', 1), only=['a'])
    log = out / 'runs/a/seed0/1/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"mIoU": 99.0, "step": 1}\n')
    text = with_option('a', 'fake.value', 50)
    assert run(text, only=['a'])[0] == 0
    assert curve(out, 'a') == [[2, 52.0], [4, 54.0]]
    assert record(out, 'a')['resumed'] == 0  # it began anew
    # Complete, but killed before that was noted: no process is started.
    starts = record(out, 'a')['starts']
    set_record(out, 'a', status='running', results=None)
    status, output = run(text, only=['a'])
    assert status == 0 and '2 of 2 runs are finished already' in output
    assert (record(out, 'a')['status'], record(out, 'a')['starts']) == ('finished', starts)
    assert curve(out, 'a')[-1] == [4, 54.0]


def test_a_folder_in_use_or_of_another_maker_is_refused(run, out):
    (out / 'runs/b/seed1').mkdir(parents=True)
    (out / 'runs/b/seed1/iter_4.pth').touch()
    with FileLock(out / '.lock'), pytest.raises(SuiteError, match='is in use by another call'):
        run()
    with pytest.raises(SuiteError, match='b seed 1: .* holds checkpoints that no suite made'):
        run()
    assert not (out / 'runs/a').exists()
    shutil.rmtree(out / 'runs/b')
    assert run(only=['a'])[0] == 0


def test_a_killed_call_leaves_no_training_behind(run, run_apart, out):
    """SIGKILL: the training ends as well, the next call resumes it and counts it once."""
    text = with_option('a', 'fake.pauses_at', 3)
    process, _ = run_apart(text)
    training = wait_for_pid(out, 'a')
    assert is_alive(training) and iterations(out, 'a') == [1, 2, 3]
    process.kill()
    process.join()
    assert record(out, 'a')['status'] == 'running'
    wait_for(lambda: not is_alive(training), seconds=5)
    # What a longer first start would have noted.
    path = out / 'runs/a/seed0/use.json'
    wait_for(lambda: json.loads(path.read_text())[0]['peak_mib'])  # the worker's last note
    path.write_text(json.dumps([dict(seconds=1000.0, peak_mib=None)]))
    (out / 'mended').touch()
    status, output = run(text)
    assert status == 0 and 'a seed 0 resumed from iter_2.pth' in output
    assert iterations(out, 'a') == [1, 2, 3, 3, 4]  # 3 was after the checkpoint
    of = record(out, 'a')
    assert (of['status'], of['starts'], of['resumed']) == ('finished', 2, 1)
    assert 1000 < of['seconds'] < 1020
    assert curve(out, 'a') == [[2, 12.0], [4, 14.0]]
    report = (out / 'suite.md').read_text()
    assert '| a | 2 | 14.00 ± 0.00 |' in report
    assert 'where kernels are not deterministic: a seed 0.\n' in report
    with (out / 'suite.csv').open() as file:
        starts = {(line['run'], line['seed']): line['starts'] for line in csv.DictReader(file)}
    assert (starts['a', '0'], starts['a', '1']) == ('2', '1')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_says_how_to_go_on(run_apart, out, number):
    process, path = run_apart(with_option('a', 'fake.pauses_at', 3))
    training = wait_for_pid(out, 'a')
    os.kill(process.pid, number)
    process.join(20)
    assert process.exitcode == 128 + number
    assert not is_alive(training)
    assert record(out, 'a')['status'] == 'interrupted' and record(out, 'a')['seconds'] > 0
    assert not (out / 'runs/b').exists()
    assert 'Interrupted. To go on: python ' in path.read_text()
    assert '* a seed 0: interrupted' in (out / 'suite.md').read_text()


def test_two_trainings_never_share_a_folder(tmp_path):
    """Where no kernel ends what a killed call left: the second waits for the first."""
    code = "import pathlib, time; time.sleep({}); pathlib.Path('{}').touch()"
    first, second = (
        Task([sys.executable, '-S', '-c', code.format(seconds, tmp_path / name)], tmp_path)
        for seconds, name in ((1.0, 'first'), (0.0, 'second'))
    )
    processes = [first.start(ends_with_parent=False)]
    wait_for(lambda: (tmp_path / 'use.json').exists())
    processes.append(second.start(ends_with_parent=False))
    assert [process.wait(20) for process in processes] == [0, 0]
    times = [(tmp_path / name).stat().st_mtime for name in ('first', 'second')]
    assert times == sorted(times)
    starts = json.loads((tmp_path / 'use.json').read_text())
    assert starts[0]['seconds'] > 1.0 and starts[0]['peak_mib'] > 5


def test_a_validation_that_a_kill_has_cut_off_is_made_up_for(run, out):
    text = with_option('a', 'fake.dies_before_validation', 4)
    assert run(text, only=['a'])[0] == 1
    assert record(out, 'a')['error'].startswith('ended by signal 9')
    status, output = run(text, only=['a'])
    assert status == 0 and 'a seed 0 resumed from iter_4.pth' in output
    assert curve(out, 'a') == [[2, 12.0], [4, 14.0]]
    assert iterations(out, 'a') == [1, 2, 3, 4]
    assert record(out, 'a')['resumed'] == 0  # nothing was trained after the interruption
    assert 'random numbers' not in (out / 'suite.md').read_text()


def test_two_at_once(run, out, monkeypatch):
    """Each waits for the other to have begun; the cores are shared."""
    monkeypatch.setattr(launching, 'available_cores', lambda: 6)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    text = TWO.replace('(0, 1)', '(0,)')
    for name, other in (('a', 'b'), ('b', 'a')):
        text = with_option(name, 'fake.waits_for', other, text)
    assert run(text, jobs=2)[0] == 0
    for name in 'ab':
        seen = json.loads((out / f'runs/{name}/seed0/surroundings.json').read_text())
        assert seen['OMP_NUM_THREADS'] == '3'


def test_a_dry_run_writes_nothing(plan, out):
    lines = dry_run(plan(TAUGHT), launch=Launch(gpus=()))
    assert len(lines) == 4 and not out.exists()
    taught = next(line for line in lines if 'recipe.py' in line)
    assert f'model.teacher_ckpt={out}/runs/t/seed0/iter_4.pth' in taught
    assert taught.startswith('OMP_NUM_THREADS=') and '--resume --cfg-options' in taught


def test_a_report_of_what_is_there(run, plan, out):
    with pytest.raises(SuiteError, match='--report-only: .* holds no runs'):
        report_only(plan())
    run(only=['a'])
    for name in ('suite.md', 'suite.csv', 'suite_bars.png'):
        (out / name).unlink()
    machine = json.loads((out / 'suite.json').read_text())['machine']
    report_only(plan())
    assert '| b | 0 of 2 |' in (out / 'suite.md').read_text()
    assert (out / 'suite.csv').exists() and (out / 'suite_bars.png').exists()
    assert json.loads((out / 'suite.json').read_text())['machine'] == machine
    # Settings that have changed since are no reason to refuse, but are said.
    report_only(plan(options={'fake.value': 3}))
    assert 'so not to be compared: a seed 0, a seed 1.' in (out / 'suite.md').read_text()


def test_suites_that_share_a_folder(run, plan, out, tmp_path):
    """What both have is run once; each has its own report."""
    run(TWO)
    other = tmp_path / 'other.py'
    other.write_text(HEAD + "runs = dict(a=dict(config='net.py'))\n")
    planned = Plan(load_suite(str(other)), out)
    before = (out / 'suite.md').read_text()
    stream = io.StringIO()
    assert run_suite(planned, launch=Launch(gpus=()), progress=Progress(2, stream)) == 0
    assert '2 of 2 runs are finished already' in stream.getvalue()
    assert (out / 'suite.md').read_text() == before
    ends = ('.csv', '.json', '.md', '_bars.png', '_curves.png')
    assert sorted(path.name for path in out.glob('other*')) == [f'other{end}' for end in ends]


def test_scenes_are_written_once(run, out):
    text = TWO + 'toy_data = dict(num_train=2, num_val=1, size=(32, 32))\n'
    text = text.replace("'net.py'", "'data.py'")
    data = "_base_ = 'net.py'\ntrain_dataloader = dict(dataset=dict(type='D'))\n"
    (out.parent / 'data.py').write_text(data)
    run(text, only=['a'])
    assert f'data_root={out}/data' in record(out, 'a')['command']
    images = sorted((out / 'data/JPEGImages').iterdir())
    assert len(images) == 3
    images[0].unlink()
    assert 'writing the scenes' not in run(text)[1]
    assert len(list((out / 'data/JPEGImages').iterdir())) == 2
    for seed in (0, 1):
        for name in 'ab':
            (out / f'runs/{name}/seed{seed}/run.json').unlink()
            (out / f'runs/{name}/seed{seed}/iter_4.pth').unlink()
    with pytest.raises(SuiteError, match='holds other scenes than toy_data asks for'):
        run(text.replace('num_train=2', 'num_train=3'))


def test_a_process_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, '_PATIENCE', 0.3)
    code = 'import signal as s, time; s.signal(15, s.SIG_IGN); print(1); time.sleep(60)'
    executor = LocalExecutor(Launch(gpus=()))
    (name,) = executor.submit([Task([sys.executable, '-S', '-c', code], tmp_path)])
    wait_for(lambda: (tmp_path / 'run.log').read_text().endswith('1\n'))
    executor.cancel([name])
    assert not is_alive(int(name)) and executor.room == 1


def test_progress_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progressing.time, 'monotonic', lambda: now[0])
    stream = io.StringIO()
    progress = Progress(37, stream, every=30)
    for now[0] in (1.0, 29.0, 30.0, 31.0, 59.0, 60.0):
        progress.update([('tat seed 1', 65.0), ('kd seed 0', now[0])], 723.0)
    line = 'running: tat seed 1 (1:05), kd seed 0 ({}); suite 12:03 left\n'
    assert stream.getvalue() == line.format('0:30') + line.format('1:00')
    progress.event('tat seed 1 finished', 5)
    assert stream.getvalue().endswith('\n[ 5/37] tat seed 1 finished\n')
    for seconds, text in ((0, '0:00'), (119.6, '2:00'), (7265, '2:01:05'), (None, '?')):
        assert duration(seconds) == text
