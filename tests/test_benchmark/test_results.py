"""What is read from the folder of a run: its log lines, its end, its checkpoints."""

import json
import zipfile

import pytest

from mmrazor_tat.benchmark.execution.records import discard_logs, read_error, read_results
from mmrazor_tat.utils.work_dir import keep_last, last_checkpoint, point_to_last


@pytest.fixture
def log(tmp_path):
    """A function that writes the scalars.json of one start."""

    def log(start: str, *lines: dict, end: str = '') -> None:
        folder = tmp_path / start / 'vis_data'
        folder.mkdir(parents=True)
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (folder / 'scalars.json').write_text(text + end)

    return log


def train(step: int, loss: float = 1.0, **more) -> dict:
    return dict(loss=loss, iter=step, step=step, time=0.5, **more)


def test_starts_are_merged_by_step(log, tmp_path):
    """Killed at 6, resumed from 4: what was done twice counts once, as it was done last."""
    log('20260101_000000', train(2), dict(mIoU=10.0, step=2), train(4), end='{"loss": 1.0, "it')
    log('20260101_000100', dict(mIoU=30.0, step=4), train(6, 9.0), dict(mIoU=77.0, step=6))
    log('20260101_000200', train(6), dict(mIoU=20.0, aAcc=90.0, step=6), train(8))
    results = read_results(tmp_path, 'mIoU')
    curve = [(2, 10.0), (4, 30.0), (6, 20.0)]
    assert results['metrics'] == dict(mIoU=dict(last=20.0, best=30.0, best_step=4, curve=curve))
    assert results['iterations'] == 8
    assert results['gpu_mib'] is None


def test_the_same_metric_under_a_prefix(log, tmp_path):
    """Validations count epochs, trainings iterations."""
    lines = {'squashed/mIoU': 5.0, 'mIoU': 6.0, 'step': 1}, {'squashed/mIoU': 4.0, 'step': 2}
    log('1', train(40, epoch=1), lines[0], train(80, epoch=2), lines[1])
    found = read_results(tmp_path, 'mIoU')
    assert list(found['metrics']) == ['mIoU', 'squashed/mIoU'] and found['iterations'] == 80
    curve = [(1, 5.0), (2, 4.0)]
    assert found['metrics']['squashed/mIoU'] == dict(last=4.0, best=5.0, best_step=1, curve=curve)


def test_memory_of_a_gpu(log, tmp_path):
    log('1', train(1, memory=900), train(2, memory=1200))
    log('2', train(3, memory=1100))
    found = read_results(tmp_path, 'mIoU')
    assert (found['metrics'], found['iterations'], found['gpu_mib']) == ({}, 3, 1200)


NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('losses', 'since'),
    [
        ([2.0, 1.0], None),
        ([2.0, NAN, INF], 2),
        ([NAN, NAN], 1),
        ([2.0, INF, 1.0], None),  # a step that AMP has left out
        ([INF, 1.0, NAN], 3),
        ([], None),
    ],
)
def test_since_when_a_loss_is_not_finite(log, tmp_path, losses, since):
    log('1', *(train(step, loss) for step, loss in enumerate(losses, start=1)), dict(m=1, step=9))
    assert read_results(tmp_path, 'm')['diverged_at'] == since
    log('2', train(1), train(10))  # a later start has the last word
    assert read_results(tmp_path, 'm')['diverged_at'] is None


def test_a_value_that_is_no_number(log, tmp_path):
    log('1', dict(mIoU=float('nan'), step=1), dict(mIoU=3.0, step=2), dict(mIoU=3.0, step=3))
    found = read_results(tmp_path, 'mIoU')['metrics']['mIoU']
    assert (found['best'], found['best_step']) == (3.0, 2)


def test_discarded_logs_count_no_more(log, tmp_path):
    log('1', dict(mIoU=float(9), step=9))
    discard_logs(tmp_path)
    assert read_results(tmp_path, 'mIoU')['metrics'] == {}
    assert (tmp_path / '1/vis_data/scalars_discarded.json').exists()


TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    go()\n'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (TRACEBACK + "KeyError: 'mIoU'\n", "KeyError: 'mIoU'"),
        (
            TRACEBACK + 'torch.cuda.OutOfMemoryError: CUDA out of memory.\n  hint\n\n',
            'torch.cuda.OutOfMemoryError: CUDA out of memory.',
        ),
        (  # torchrun: the worker says why, then the launcher that a worker failed
            f'[rank0]: ValueError: grid\n{TRACEBACK}'
            'torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====\n',
            'ValueError: grid',
        ),
        ('one\nsrun: error: no such partition\n', 'srun: error: no such partition'),
        ('\n', 'it printed nothing'),
    ],
)
def test_the_reason_of_a_failure(tmp_path, text, reason):
    before = 'ValueError: of an earlier start\n'
    (tmp_path / 'run.log').write_text(before + text)
    found, tail = read_error(tmp_path, 'mIoU', code=1, since=len(before))
    assert found == reason
    assert tail == [line.rstrip() for line in text.splitlines() if line.strip()]


def checkpoint(path, complete: bool = True) -> None:
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('data', 'weights' * 100)
    if not complete:
        path.write_bytes(path.read_bytes()[:-30])


def test_a_checkpoint_that_was_cut_off_is_none(tmp_path):
    for name, complete in (('iter_900', True), ('iter_1000', True), ('iter_1100', False)):
        checkpoint(tmp_path / f'{name}.pth', complete)
    checkpoint(tmp_path / 'best_mIoU_iter_2000.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_1100.pth')
    assert point_to_last(tmp_path) == tmp_path / 'iter_1000.pth'
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_1000.pth')
    for name in ('iter_900', 'iter_1000'):
        (tmp_path / f'{name}.pth').unlink()
    assert point_to_last(tmp_path) is None and not (tmp_path / 'last_checkpoint').exists()


def test_the_last_and_the_best_are_kept(tmp_path):
    for name in ('epoch_9', 'epoch_10', 'best_mIoU_epoch_3'):
        checkpoint(tmp_path / f'{name}.pth')
    keep_last(tmp_path)
    kept = sorted(path.name for path in tmp_path.glob('*.pth'))
    assert kept == ['best_mIoU_epoch_3.pth', 'epoch_10.pth']
    assert last_checkpoint(tmp_path).name == 'epoch_10.pth'
