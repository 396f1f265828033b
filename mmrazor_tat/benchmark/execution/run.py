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
from .executors import ClusterExecutor, Executor, LocalExecutor
from .launch import Command, Launch, as_line, slurm_parameters, train_command
from .progress import Progress
from .schedule import SKIPPED, WAITING, Schedule

_ABOUT = ('machine', 'versions', 'commit')


def run_suite(
    plan: Plan,
    only: Optional[Sequence[str]] = None,
    launch: Optional[Launch] = None,
    command: Command = train_command,
    progress: Optional[Progress] = None,
    executor: Optional[Executor] = None,
) -> int:
    """Run what is not finished of a suite, and write its report.

    Args:
        plan: what to run.
        only: names of runs, or shell patterns of such; None: all.
        launch: how runs become processes.
        command: gives the words of a job's command.
        progress: prints the course.
        executor: where runs are started; None: this machine, or slurm where ``launch`` says so.

    Returns:
        The exit status: 0, 1 where a run failed, 128 + N where signal N ended it.

    Raises:
        SuiteError: the call cannot be carried out. Nothing was run, unless it names jobs that were
            queued before the cluster refused one.
    """
    launch = launch or Launch()
    launch.check_devices()
    if executor is None:
        on_cluster = launch.launcher == 'slurm'
        folder = plan.out / 'submitit'
        executor = ClusterExecutor(launch, folder) if on_cluster else LocalExecutor(launch)
    jobs = plan.jobs(only)
    progress = progress or Progress(len(jobs))
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SuiteError(f'--out must be a folder that can be made: {error}') from error
    try:
        with FileLock(plan.out / '.lock', timeout=0):
            schedule = _run(plan, jobs, launch, command, progress, executor)
    except Timeout:
        raise SuiteError(
            f'{plan.out} is in use by another call: one at a time; choose another --out'
        ) from None
    failed, skipped = schedule.keys(records.FAILED), schedule.keys(SKIPPED)
    for key in failed:
        record = read_record(schedule.jobs[key].folder)
        progress.event(f'failed: {key}: {record["error"]}')
    for key in skipped:
        progress.event(f'skipped: {key}: {schedule.jobs[key].teacher.run} failed')
    finished, path = len(schedule.keys(records.FINISHED)), report_path(plan.suite, plan.out)
    progress.event(f'{finished} of {len(jobs)} runs are finished: {path}')
    if schedule.stopped_by is not None:
        progress.event(_going_on(schedule) or f'Interrupted. To go on: {typed_command()}')
        return 128 + schedule.stopped_by
    return 1 if failed or skipped else 0


def _run(plan, jobs, launch, command, progress, executor) -> Schedule:
    reported = plan.jobs_for_report()
    records.check_records([*jobs, *reported])
    if plan.makes_toy_data:
        make_toy_data(plan.suite.toy_data, plan.out / TOY_FOLDER, progress.event)
    about = _about(launch)

    def report() -> None:
        write_report(plan.suite, reported, plan.out, typed_command(), about)

    schedule = Schedule(jobs, plan.suite.metric, launch, executor, progress, about, command, report)
    finished = len(schedule.keys(records.FINISHED))
    if finished:
        progress.event(f'{finished} of {len(jobs)} runs are finished already')
    warning = batch_warning([schedule.jobs[key] for key in schedule.keys(WAITING)])
    if warning is not None:
        progress.event(warning)
    try:
        schedule.run()
    except SuiteError as error:  # of the cluster
        texts = filter(None, (str(error), _going_on(schedule)))
        raise SuiteError('; '.join(texts)) from error
    finally:
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
    launch, lines = launch or Launch(), []
    if launch.launcher == 'slurm':
        of = slurm_parameters(launch)
        words = (f'{name.removeprefix("slurm_")}={value}' for name, value in of.items())
        lines.append(f'# slurm, for each run: {" ".join(words)}')
    for number, job in enumerate(plan.jobs(only)):
        options = dict(job.options)
        if job.teacher is not None:
            checkpoint = records.teacher_checkpoint(plan.job(*job.teacher), is_done=False)
            options['model.teacher_ckpt'] = str(checkpoint)
        environment = launch.environment(number % launch.jobs)
        after = launch.launcher == 'slurm' and job.teacher is not None
        line = as_line(command(job, options, launch), environment)
        lines.append(f'# after {job.teacher}\n{line}' if after else line)
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


def _going_on(schedule: Schedule) -> str:
    """What is said of the jobs that do not end with this call; '' where there are none."""
    keys = schedule.keys(records.RUNNING)
    named = ', '.join(map(str, keys[:3])) + ', ...' * (len(keys) > 3)
    text = f'{len(keys)} jobs go on in the cluster ({named}; squeue --me). To come back to '
    return f'{text}them: {typed_command()}' if keys else ''
