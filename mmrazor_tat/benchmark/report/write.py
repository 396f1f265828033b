"""The report of a suite: SUITE.json with everything, SUITE.csv, SUITE.md and its pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ...utils.files import write_atomically
from ..execution import records
from ..suites import Suite
from ..suites.jobs import Job
from .pictures import plot_bars, plot_curves
from .summary import as_json, collect, rows
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
    """Write the report of what lies in a suite's folder: of all ``jobs``, those that were not run
    too.

    ``command`` is the call, as typed; ``about`` is for SUITE.json, e.g. the machine.
    """
    frame = collect(jobs)
    table = rows(suite, frame)
    content = dict(command=command, **(about or {}), **as_json(suite, table))
    text = json.dumps(content, indent=1, default=str) + '\n'
    write_atomically(report_path(suite, out, '.json'), text)
    lines = frame.drop(columns=['record', 'unit']).convert_dtypes()
    write_atomically(report_path(suite, out, '.csv'), lines.to_csv(index=False))
    with_plots = with_plots and any(row.by_seed for row in table)
    if with_plots:
        plot_bars(suite, table, report_path(suite, out, '_bars.png'))
        plot_curves(suite, table, report_path(suite, out, '_curves.png'))
    found = zip(jobs, frame.record)
    others = [str(job.key) for job, of in found if of and records.differences(job, of)]
    write_atomically(
        report_path(suite, out), as_markdown(suite, table, command, with_plots, others)
    )
