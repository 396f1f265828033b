"""One call of the runner: a suite, from its file to its report."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ...utils.environment import loaded_versions
from ...utils.work_dir import read_record
from ..report.write import report_path, write_report
from ..suites.jobs import Job
from ..suites.options import SuiteError
from ..suites.plan import TOY_FOLDER, Plan
from ..suites.toy_data import make_toy_data
from ..timing.measure import describe_machine
from . import record as records
from .launch import Command, Launch, as_line, train_command
from .lock import lock
from .progress import Progress
from .record import check_records
from .schedule import SKIPPED, WAITING, Schedule

_ABOUT = ('machine', 'versions', 'commit')


def run_suite(
    plan: Plan,
    only: Optional[Sequence[str]] = None,
    launch: Optional[Launch] = None,
    command: Command = train_command,
    progress: Optional[Progress] = None,
) -> int:
    """Run what is not finished of a suite and write its report.

    Args:
        plan: the suite and its folder.
        only: names of runs, with the teachers that they need; None: all.
        launch: how runs become processes.
        command: gives the words of a job's command.
        progress: prints the course.

    Returns:
        The exit status: 0, 1 where a run failed, 128 + N where signal N ended it.

    Raises:
        SuiteError: the call cannot be carried out; nothing was run.
    """
    launch = launch or Launch()
    launch.check_devices()
    jobs = plan.jobs(only)
    progress = progress or Progress(len(jobs))
    with lock(plan.out) as descriptor:
        reported = plan.jobs_for_report()
        check_records([*jobs, *reported])
        if plan.makes_toy_data:
            make_toy_data(plan.suite.toy_data, plan.out / TOY_FOLDER, progress.event)
        about = _about(launch)

        def report() -> None:
            write_report(plan.suite, reported, plan.out, typed_command(), about)

        schedule = Schedule(
            jobs,
            plan.suite.metric,
            launch,
            progress,
            about,
            command,
            after_each=report,
            descriptors=(descriptor,),
        )
        _say_what_is_done(schedule, progress)
        warning = plan.batch_warning([schedule.jobs[key] for key in schedule.keys(WAITING)])
        if warning is not None:
            progress.event(warning)
        schedule.run()
        report()
    return _conclude(schedule, report_path(plan.suite, plan.out), progress)


def report_only(plan: Plan) -> Path:
    """Write the report of what lies in the folder of a suite, and run nothing; gives its path.

    Raises:
        SuiteError: there is nothing.
    """
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
    return [
        as_line(
            command(job, _expected_options(plan, job), launch),
            launch.environment(number % launch.jobs),
        )
        for number, job in enumerate(plan.jobs(only))
    ]


def _expected_options(plan: Plan, job: Job) -> dict[str, Any]:
    options = dict(job.options)
    if job.teacher is not None:
        teacher = plan.job(*job.teacher)
        options['model.teacher_ckpt'] = str(teacher.folder / f'{teacher.unit}_{teacher.total}.pth')
    return options


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
    return dict(machine=machine, versions=loaded_versions(), commit=_commit())


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


def _say_what_is_done(schedule: Schedule, progress: Progress) -> None:
    finished = len(schedule.keys(records.FINISHED))
    if finished:
        progress.event(f'{finished} of {len(schedule.jobs)} runs are finished already')


def _conclude(schedule: Schedule, path: Path, progress: Progress) -> int:
    failed, skipped = schedule.keys(records.FAILED), schedule.keys(SKIPPED)
    finished = len(schedule.keys(records.FINISHED))
    for key in failed:
        record = read_record(schedule.jobs[key].folder)
        progress.event(f'failed: {key}: {record["error"]}')
    for key in skipped:
        progress.event(f'skipped: {key}: {schedule.jobs[key].teacher.run} failed')
    progress.event(f'{finished} of {len(schedule.jobs)} runs are finished: {path}')
    if schedule.stopped_by is not None:
        progress.event(f'Interrupted. To go on: {typed_command()}')
        return 128 + schedule.stopped_by
    return 1 if failed or skipped else 0
