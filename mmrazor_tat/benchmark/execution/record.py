"""What is known of a run, kept in its folder as run.json."""

import json
from pathlib import Path
from typing import Any

from ...utils.files import write_atomically
from ...utils.work_dir import read_record
from ..suites.jobs import Job
from ..suites.options import SuiteError

RUNNING, FINISHED, FAILED, INTERRUPTED = 'running', 'finished', 'failed', 'interrupted'
_NAMED_DIFFERENCES = 5


def write_record(folder: Path, record: dict[str, Any]) -> None:
    write_atomically(folder / 'run.json', json.dumps(record, indent=1) + '\n')


def differences(job: Job, record: dict[str, Any]) -> list[str]:
    """How the settings of a begun run differ from those that its suite asks for now."""
    then, now = record['settings'], job.settings
    return [
        f'{key} was {then.get(key, "not set")}, is now {now.get(key, "not set")}'
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]


def check_records(jobs: list[Job]) -> None:
    """Refuse to go on with runs that were begun with other settings.

    Raises:
        SuiteError: names the first such run and what differs.
    """
    for job in jobs:
        record = read_record(job.folder)
        if record is None:
            if any(job.folder.glob('*.pth')):
                raise SuiteError(
                    f'{job.key}: {job.folder} holds checkpoints that no suite made (no run.json): '
                    'choose another --out or delete that folder'
                )
            continue
        if record['status'] == FAILED and not any(job.folder.glob('*.pth')):
            continue  # nothing is lost
        changed = differences(job, record)
        if changed:
            more = len(changed) - _NAMED_DIFFERENCES
            listed = '\n  '.join(changed[:_NAMED_DIFFERENCES] + [f'and {more} more'] * (more > 0))
            raise SuiteError(
                f'{job.key} is {record["status"]} with other settings than the suite now asks for:'
                f'\n  {listed}\nChoose another --out, or delete {job.folder}'
            )
