"""A suite on a cluster: by submitit's own stand-ins, and by a real slurm where one runs.

make test-slurm        # starts slurm's daemons for this machine alone, and runs this file
"""

import io
import os
import shutil
import signal
import time

import pytest
from fixtures.suites import TAUGHT, TWO, fake_command, iterations, record, wait_for

from mmrazor_tat.benchmark.execution import dry_run, run_suite
from mmrazor_tat.benchmark.execution.executors import ClusterExecutor
from mmrazor_tat.benchmark.execution.launch import Launch
from mmrazor_tat.benchmark.execution.progress import Progress
from mmrazor_tat.benchmark.suites.options import SuiteError

pytest.importorskip('submitit')
from submitit.core import utils  # noqa: E402
from submitit.local.debug import DebugExecutor  # noqa: E402

CPU = dict(gpus_per_node=0, timeout_min=5)
CLUSTERS = [
    'debug',
    'local',
    pytest.param(
        'slurm',
        marks=pytest.mark.skipif(
            'MMRAZOR_TAT_SLURM' not in os.environ, reason='no slurm here: make test-slurm'
        ),
    ),
]


@pytest.fixture
def launch():
    return Launch(2, 'slurm', slurm=CPU, gpus=())


@pytest.fixture
def run(plan, out, launch):
    """A function that runs a suite on a cluster; gives exit status and output."""

    def run(cluster: str, text: str = TWO, only=None, takes_dependent: bool = False):
        planned, stream = plan(text), io.StringIO()
        progress = Progress(len(planned.jobs(only)), stream)
        executor = ClusterExecutor(launch, out / 'submitit', cluster)
        executor.takes_dependent |= takes_dependent
        status = run_suite(planned, only, launch, fake_command(out.parent), progress, executor)
        return status, stream.getvalue()

    return run


@pytest.mark.parametrize('cluster', [CLUSTERS[0], CLUSTERS[2]])
def test_a_teacher_comes_first_and_all_are_recorded(run, out, cluster):
    status, output = run(cluster, TAUGHT)
    assert status == 0, output
    assert output.endswith(f'4 of 4 runs are finished: {out / "suite.md"}\n')
    of = record(out, 'b')
    assert of['status'] == 'finished' and of['starts'] == 1 and 0 < of['seconds'] < 60
    assert f'model.teacher_ckpt={out}/runs/t/seed0/iter_4.pth' in of['command']
    times = [(out / f'runs/{name}/seed0/iter_4.pth').stat().st_mtime for name in 'tb']
    assert times == sorted(times)


TWO_TAUGHT = TAUGHT.replace('runs = dict(', "runs = dict(u=dict(config='net.py'),")
TWO_TAUGHT = TWO_TAUGHT.replace(
    "c=dict(config='net.py')", "c=dict(config='recipe.py', teacher='u')"
)


@pytest.mark.parametrize('queued', [0, 2])
def test_what_sbatch_refuses(run, out, monkeypatch, queued):
    """What is queued by then is kept, and not queued again; the rest may be changed."""
    submit, calls = DebugExecutor._internal_process_submissions, []

    def refusing(self, tasks):
        calls.append([task.function.folder.parent.name for task in tasks])
        if len(calls) == queued + 1:
            raise utils.FailedJobError('sbatch: error: a limit\nsbatch: error: Batch job')
        return submit(self, tasks)

    monkeypatch.setattr(DebugExecutor, '_internal_process_submissions', refusing)
    monkeypatch.setattr(ClusterExecutor, 'poll', lambda *_: (1, 'scancelled'))
    with pytest.raises(SuiteError) as refused:
        run('debug', TWO_TAUGHT, takes_dependent=True)
    words = '--launcher slurm: sbatch: error: a limit sbatch: error: Batch job'
    named = '; 4 jobs go on in the cluster (u seed 0, a seed 0, c seed 0, ...; squeue --me). To '
    assert str(refused.value).startswith(words + (named if queued else ''))
    assert queued or str(refused.value) == words
    # Each run's job is known, or the run counts as one that never ran.
    first = [['u', 'a', 't'], ['c'], ['b']][: queued + 1]
    assert calls == first and (out / 'suite.md').exists()
    for names in first:
        status = ('interrupted', False) if names == first[-1] else ('running', True)
        of = [record(out, name) for name in names]
        assert [(one['status'], 'job' in one) for one in of] == [status] * len(names)
    iters = 4 if queued else 6
    text = TWO_TAUGHT.replace("'train_cfg.max_iters': 4", f"'train_cfg.max_iters': {iters}")
    assert run('debug', text, takes_dependent=True)[0] == 1
    assert calls[len(first) :] == ([['b']] if queued else [['u', 'a', 't'], ['c'], ['b']])
    assert record(out, 'a')['error'] == 'scancelled'


# The first ends with an error of its own, the second waits half a minute for its jobs.
@pytest.mark.parametrize('cluster', [pytest.param('local', marks=pytest.mark.slow), CLUSTERS[2]])
def test_what_depends_on_a_failed_teacher_is_skipped(run, out, cluster):
    failing = "t=dict(config='net.py', options={'fake.fails_at': 3}"
    text = TAUGHT.replace("t=dict(config='net.py'", failing)
    status, output = run(cluster, text)
    assert status == 1 and 't seed 0 failed: ValueError: no luck at 3' in output
    assert record(out, 'a')['status'] == 'finished'
    assert '| b | 0 of 1 |' in (out / 'suite.md').read_text()
    (out / 'mended').touch()
    status, output = run(cluster, text)
    assert status == 0 and 't seed 0 resumed from iter_2.pth' in output
    assert iterations(out, 't') == [1, 2, 3, 3, 4]


@pytest.mark.parametrize('cluster', CLUSTERS[1:])
def test_the_driver_goes_home_and_comes_back(run, plan, out, launch, cluster):
    """The job goes on without the call; the next call finds it, and does not start it again."""
    text = TWO.replace('(0, 1)', '(0,)').replace(
        "a=dict(config='net.py'", "a=dict(config='net.py', options={'fake.waits_for': 'go'}"
    )
    planned, stream = plan(text), io.StringIO()
    executor = ClusterExecutor(launch, out / 'submitit', cluster)
    begun = time.monotonic()

    class Leaves(Progress):
        def update(self, states, left) -> None:
            if time.monotonic() - begun > 1.0:
                os.kill(os.getpid(), signal.SIGTERM)

    progress = Leaves(1, stream)
    status = run_suite(planned, ['a'], launch, fake_command(out.parent), progress, executor)
    assert status == 128 + signal.SIGTERM and 'jobs go on in the cluster' in stream.getvalue()
    assert record(out, 'a')['status'] == 'running'
    (out / 'runs/go').touch()
    if cluster == 'slurm':
        status, output = run(cluster, text, ['a'])
        assert status == 0 and ' started' not in output
    else:  # submitit cannot attach to a process of its own stand-in: it is seen by its result
        wait_for(lambda: (out / 'runs/a/seed0/iter_4.pth').exists())
        wait_for(lambda: len(iterations(out, 'a')) == 4)
        time.sleep(0.5)
        status, output = run(cluster, text, ['a'])
        assert status == 0 and '1 of 1 runs are finished already' in output
    assert iterations(out, 'a') == [1, 2, 3, 4]


@pytest.mark.skipif('MMRAZOR_TAT_SLURM' not in os.environ, reason='no slurm: make test-slurm')
def test_a_job_that_is_requeued_goes_on(plan, out, launch):
    """As slurm does after a preemption or the loss of a node."""
    text = TWO.replace('(0, 1)', '(0,)').replace(
        "a=dict(config='net.py'", "a=dict(config='net.py', options={'fake.pauses_at': 3}"
    )
    stream = io.StringIO()
    executor = ClusterExecutor(launch, out / 'submitit')
    requeued = []

    class Requeues(Progress):
        def update(self, states, left) -> None:
            if not requeued and (out / 'runs/a/seed0/pid').exists():
                (out / 'mended').touch()
                os.system(f'scontrol requeue {record(out, "a")["job"]}')
                requeued.append(True)

    status = run_suite(
        plan(text), ['a'], launch, fake_command(out.parent), Requeues(1, stream), executor
    )
    assert status == 0 and requeued
    assert iterations(out, 'a') == [1, 2, 3, 3, 4]
    assert record(out, 'a')['starts'] == 2


def test_what_does_not_go_together(out):
    with pytest.raises(SuiteError, match='--processes 3 cannot be spread over nodes=2'):
        Launch(1, 'slurm', 3, dict(nodes=2), gpus=())
    assert Launch(1, 'slurm', 8, dict(nodes=2), gpus=()).nodes == 2


@pytest.mark.parametrize(
    ('given', 'error'),
    [
        (dict(partiton='gpu'), "--slurm has no 'partiton'; nearest: 'partition'"),
        (dict(timeout_min='two'), '--slurm: Parameter "timeout_min" expected type <class \'int\'>'),
        (dict(mem_gb='x'), '--slurm: Parameter "mem_gb" expected type'),
        (dict(nodes='two'), "--slurm nodes must be an integer of at least 1, got 'two'"),
        (dict(nodes=0), '--slurm nodes must be an integer of at least 1, got 0'),
    ],
)
def test_parameters_of_submitit(plan, out, given, error):
    """A dry run looks at them as a call does."""
    for call in (dry_run, run_suite):
        with pytest.raises(SuiteError) as refused:
            call(plan(), launch=Launch(1, 'slurm', slurm=given, gpus=()))
        assert str(refused.value).startswith(error) and '\n' not in str(refused.value)
    assert not out.exists()
    first, *rest = dry_run(plan(TAUGHT), launch=Launch(2, 'slurm', slurm=CPU | dict(mem_gb=2.5)))
    assert first == (
        '# slurm, for each run: name=mmrazor_tat nodes=1 tasks_per_node=1 gpus_per_node=0 '
        'timeout_min=5 array_parallelism=2 mem_gb=2.5'
    )
    assert len(rest) == 4 and sum('# after t seed 0\n' in line for line in rest) == 1


@pytest.mark.skipif(shutil.which('sbatch') is not None, reason='there is a slurm')
def test_no_slurm(out):
    with pytest.raises(SuiteError, match='--launcher slurm: .*srun'):
        ClusterExecutor(Launch(1, 'slurm', gpus=()), out)
