"""The report as a web page that stands alone."""

from pathlib import Path
from typing import Optional

from mmengine.utils.dl_utils import collect_env

from ...utils.environment import versions
from ...utils.files import write_atomically
from ...utils.metrics import main_metric
from ..attention.figure import attention_figure
from ..curves import draw_runs
from ..panels import panels_context
from ..web_page import figure_uri, file_uri, render
from .gather import Report, checkpoint_of
from .summary import LOGGED_VERSIONS, RunSummary

# Half a page of compiler flags, and what mmengine draws while it looks.
_NO_ENVIRONMENT = ('PyTorch compiling details', 'numpy_random_seed')


def save_report(report: Report, path: Path) -> None:
    """Write the page; it refers to nothing outside, and is never there in part.

    Args:
        report: what to show.
        path: .html; a file of that name is replaced.

    Raises:
        ValueError: another ending, or a folder.
    """
    path = Path(path)
    check_page(path)
    write_atomically(path, render('report.html.j2', **_context(report)))


def check_page(path: Path, argument: str = 'path') -> None:
    """Raise ValueError for a path that :func:`save_report` does not write."""
    if path.suffix != '.html':
        raise ValueError(f'{argument} {str(path)!r} must end with .html')
    if path.is_dir():
        raise ValueError(f'{argument} {str(path)!r} is a folder')


def _context(report: Report) -> dict:
    summary = report.summaries[0]
    columns, rows = _table(report)
    return dict(
        title=report.title,
        status=_status(summary),
        columns=columns,
        rows=rows,
        teacher=summary.teacher,
        notes=report.notes,
        curves=figure_uri(draw_runs(report.runs)),
        panels=None if report.comparison is None else panels_context(report.comparison),
        checkpoint=Path(checkpoint_of(summary)).name if report.comparison else '',
        attention=[
            (name, figure_uri(attention_figure(states)))
            for name, states in report.attention.items()
        ],
        pictures=[
            (name, [(step, file_uri(path)) for step, path in steps])
            for name, steps in report.pictures.items()
        ],
        # A quiet run logs none: then it is that of the machine at hand.
        is_logged=bool(summary.environment),
        environment=_environment(summary),
        config=report.config,
    )


def _environment(summary: RunSummary) -> list[tuple[str, str]]:
    environment, packages = summary.environment, summary.versions
    if not environment:
        environment, packages = collect_env(), packages if 'mmseg' in packages else versions()
    # mmengine's words for some of the packages stand there already.
    rows = {k: v for k, v in packages.items() if LOGGED_VERSIONS.get(k) not in environment}
    rows.update(environment)
    return [(name, value) for name, value in rows.items() if name not in _NO_ENVIRONMENT]


def _status(summary: RunSummary) -> str:
    """One sentence: how far the run has come."""
    done, of = summary.iterations, summary.max_iterations
    parts = [f'{done:,} of {of:,} iterations' if of else f'{done:,} iterations']
    if of and done < of:
        parts.append('not finished')
    if summary.resumed:
        parts.append(f'resumed {summary.resumed} time{"s" * (summary.resumed > 1)}')
    if summary.diverged_at is not None:
        parts.append(f'the loss is no finite number from iteration {summary.diverged_at:,} on')
    return ', '.join(parts)


def _table(report: Report) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles and rows (run, cells); columns that no run fills are left out."""
    main = main_metric(report.summaries[0].metrics)
    columns = ['iterations', f'last {main}', f'best {main}', 'training', 'GPU memory']
    rows = []
    teacher = report.summaries[0].metrics.get(f'teacher/{main}')
    if teacher is not None:  # as it was evaluated in the first validation
        rows.append(('teacher', ['', f'{teacher.last:.2f}', '', '', '']))
    for run, summary in zip(report.runs, report.summaries):
        metric = summary.metrics.get(main)
        cells = [
            f'{summary.iterations:,}',
            '' if metric is None else f'{metric.last:.2f}',
            '' if metric is None else f'{metric.best:.2f} at {metric.best_iteration:,}',
            _duration(summary.training_seconds),
            '' if summary.gpu_mib is None else f'{summary.gpu_mib:,.0f} MiB',
        ]
        rows.append((run.label, cells))
    kept = [k for k in range(len(columns)) if any(cells[k] for _, cells in rows)]
    return [columns[k] for k in kept], [(name, [cells[k] for k in kept]) for name, cells in rows]


def _duration(seconds: Optional[float]) -> str:
    if seconds is None:
        return ''
    minutes = seconds / 60
    return f'{minutes:.1f} min' if minutes < 90 else f'{minutes / 60:.1f} h'
