"""One call of the runner: a suite, from its file to its report."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from filelock import FileLock, Timeout

from ...utils.environment import versions
from ...utils.measure import describe_machine
from ...utils.work_dir import read_record
from ..report.write import report_path, write_report
from ..suites import Plan, SuiteError
from ..suites.jobs import batch_warning
from ..suites.plan import TOY_FOLDER
from ..suites.toy_data import make_toy_data
from . import records
from .executors import ClusterExecutor, LocalExecutor
from .launch import Command, Launch, as_line, train_command
from .progress import Progress
from .schedule import SKIPPED, WAITING, Schedule

_ABOUT = ('machine', 'versions', 'commit')


def run_suite(
    plan: Plan,
    only: Optional[Sequence[str]] = None,
    launch: Optional[Launch] = None,
    command: Command = train_command,
    progress: Optional[Progress] = None,
    executor: Any = None,
) -> int:
    """Run what is not finished of a suite, or ``only`` some runs of it, and write its report.

    Returns:
        The exit status: 0, 1 where a run failed, 128 + N where signal N ended it.

    Raises:
        SuiteError: the call cannot be carried out; nothing was run.
    """
    launch = launch or Launch()
    launch.check_devices()
    jobs = plan.jobs(only)
    progress = progress or Progress(len(jobs))
    plan.out.mkdir(parents=True, exist_ok=True)
    if executor is None:
        on_cluster = launch.launcher == 'slurm'
        folder = plan.out / 'submitit'
        executor = ClusterExecutor(launch, folder) if on_cluster else LocalExecutor(launch)
    try:
        with FileLock(plan.out / '.lock', timeout=0):
            schedule = _run(plan, jobs, launch, command, progress, executor)
    except Timeout:
        raise SuiteError(
            f'{plan.out} is in use by another call: one at a time; choose another --out'
        ) from None
    return _conclude(schedule, report_path(plan.suite, plan.out), progress)


def _run(plan, jobs, launch, command, progress, executor) -> Schedule:
    reported = plan.jobs_for_report()
    records.check_records([*jobs, *reported])
    if plan.makes_toy_data:
        make_toy_data(plan.suite.toy_data, plan.out / TOY_FOLDER, progress.event)
    about = _about(launch)

    def report() -> None:
        write_report(plan.suite, reported, plan.out, typed_command(), about)

    schedule = Schedule(
        jobs, plan.suite.metric, launch, executor, progress, about, command, after_each=report
    )
    finished = len(schedule.keys(records.FINISHED))
    if finished:
        progress.event(f'{finished} of {len(jobs)} runs are finished already')
    warning = batch_warning([schedule.jobs[key] for key in schedule.keys(WAITING)])
    if warning is not None:
        progress.event(warning)
    schedule.run()
    report()
    return schedule


def report_only(plan: Plan) -> Path:
    """Write the report of what lies in the folder of a suite, and run nothing; gives its path."""
    earlier = report_path(plan.suite, plan.out, '.json')
    if not (plan.out / 'runs').exists():
        raise SuiteError(f'--report-only: {plan.out} holds no runs')
    # The call and the machine that the runs were made by, where they are known.
    content = json.loads(earlier.read_text(encoding='utf-8')) if earlier.exists() else {}
    about = {key: content[key] for key in _ABOUT if key in content}
    command = content.get('command', typed_command())
    write_report(plan.suite, plan.jobs_for_report(), plan.out, command, about)
    return report_path(plan.suite, plan.out)


def dry_run(
    plan: Plan,
    only: Optional[Sequence[str]] = None,
    launch: Optional[Launch] = None,
    command: Command = train_command,
) -> list[str]:
    """Every command that a call would run, in order; nothing is written."""
    launch = launch or Launch()
    lines = []
    for number, job in enumerate(plan.jobs(only)):
        options = dict(job.options)
        if job.teacher is not None:
            of = plan.job(*job.teacher)
            options['model.teacher_ckpt'] = str(of.folder / f'{of.unit}_{of.total}.pth')
        environment = launch.environment(number % launch.jobs)
        lines.append(as_line(command(job, options, launch), environment))
        if launch.launcher == 'slurm':
            after = f' after {job.teacher}' if job.teacher is not None else ''
            nodes = f'{launch.nodes} node{"s" * (launch.nodes > 1)}'
            lines[-1] = f'# slurm: {launch.processes} tasks on {nodes}{after}\n{lines[-1]}'
    return lines


def typed_command() -> str:
    """The present command line."""
    return shlex.join(['python', *sys.argv])


def _about(launch: Launch) -> dict[str, Any]:
    """What the figures were made on and with."""
    machine = describe_machine('cuda' if launch.gpus else 'cpu')
    machine.update(
        threads=launch.threads or machine['threads'],
        jobs=launch.jobs,
        processes=launch.processes,
        launcher=launch.launcher,
    )
    return dict(machine=machine, versions=versions(), commit=_commit())


def _commit() -> Optional[str]:
    """Of the source tree that this file is in, '+' behind it where that was changed since."""

    def git(*words: str) -> str:
        command = ['git', '-C', str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git('ls-files', '--error-unmatch', __file__)  # else another repository is around it
        return git('rev-parse', 'HEAD') + ('+' if git('status', '--porcelain', '-uno') else '')
    except (OSError, subprocess.CalledProcessError):
        return None


def _conclude(schedule: Schedule, path: Path, progress: Progress) -> int:
    failed, skipped = schedule.keys(records.FAILED), schedule.keys(SKIPPED)
    for key in failed:
        record = read_record(schedule.jobs[key].folder)
        progress.event(f'failed: {key}: {record["error"]}')
    for key in skipped:
        progress.event(f'skipped: {key}: {schedule.jobs[key].teacher.run} failed')
    finished = len(schedule.keys(records.FINISHED))
    progress.event(f'{finished} of {len(schedule.jobs)} runs are finished: {path}')
    if schedule.stopped_by is not None:
        running = len(schedule.keys(records.RUNNING))
        if running:
            progress.event(
                f'{running} jobs go on in the cluster (squeue --me). To come back to '
                f'them: {typed_command()}'
            )
        else:
            progress.event(f'Interrupted. To go on: {typed_command()}')
        return 128 + schedule.stopped_by
    return 1 if failed or skipped else 0
