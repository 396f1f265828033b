"""The report of a suite: SUITE.json with everything, SUITE.csv, SUITE.md and its pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ...utils.files import write_atomically
from ..execution import records
from ..suites.definition import Suite
from ..suites.jobs import Job
from .bars import plot_bars
from .curves import plot_curves
from .data import as_csv, as_json
from .summary import collect, rows
from .text import as_markdown


def report_path(suite: Suite, out: Path, end: str = '.md') -> Path:
    """A file of the report; by the suite's name, as several suites may share a folder."""
    return out / f'{suite.name}{end}'


def write_report(
    suite: Suite,
    jobs: Sequence[Job],
    out: Path,
    command: str,
    about: Optional[dict[str, Any]] = None,
    with_plots: bool = True,
) -> None:
    """Write the report of what lies in a suite's folder.

    Args:
        suite: what was asked for.
        jobs: all that the report is about; what was not run is listed as such.
        out: the folder.
        command: the call, as typed.
        about: for SUITE.json, e.g. the machine.
        with_plots: draw SUITE_bars.png and SUITE_curves.png as well.
    """
    outcomes = collect(jobs)
    table = rows(suite, outcomes)
    finished = any(row.finished for row in table)
    others = [job.key for job in jobs if _has_other_settings(job)]
    write_atomically(
        report_path(suite, out, '.json'),
        json.dumps(as_json(suite, table, command, about or {}), indent=1) + '\n',
    )
    write_atomically(report_path(suite, out, '.csv'), as_csv(table, suite.metric))
    if with_plots and finished:
        plot_bars(suite, table, report_path(suite, out, '_bars.png'))
        plot_curves(suite, table, report_path(suite, out, '_curves.png'))
    text = as_markdown(suite, table, command, with_plots and finished, list(map(str, others)))
    write_atomically(report_path(suite, out), text)


def _has_other_settings(job: Job) -> bool:
    record = records.read_record(job.folder)
    return record is not None and bool(records.differences(job, record))
