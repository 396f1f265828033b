"""The report as a web page that stands alone."""

from pathlib import Path

from ...utils.files import write_atomically
from ...utils.metrics import main_metric
from ..attention.figure import attention_figure
from ..curves import draw_runs
from ..panels import panels_context
from ..web_page import figure_uri, png_uri, render
from .gather import Report


def save_report(report: Report, path: Path) -> None:
    """Write the page, an .html; it refers to nothing outside, and is never there in part."""
    first = report.runs[0]
    columns, rows = _table(report)
    done, of = first.iterations, first.max_iterations
    status = [f'{done:,} of {of:,} iterations' if of else f'{done:,} iterations']
    status += ['not finished'] if of and done < of else []
    if first.diverged_at is not None:
        status.append(f'the loss is no finite number from iteration {first.diverged_at:,} on')
    page = render(
        'report.html.j2',
        title=report.title,
        status=', '.join(status),
        columns=columns,
        rows=rows,
        teacher=first.teacher,
        notes=report.notes,
        curves=figure_uri(draw_runs([summary.run for summary in report.runs])),
        panels=None if report.comparison is None else panels_context(report.comparison),
        checkpoint=first.checkpoint,
        attention={
            name: figure_uri(attention_figure(states)) for name, states in report.attention.items()
        },
        pictures={
            name: [(step, png_uri(path.read_bytes())) for step, path in steps]
            for name, steps in report.pictures.items()
        },
        versions=first.versions,
        config=report.config,
    )
    write_atomically(Path(path), page)


def _table(report: Report) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles and rows (run, cells); columns that no run fills are left out."""
    main = main_metric(report.runs[0].metrics)
    columns = ['iterations', f'last {main}', f'best {main}', 'GPU memory']
    rows = []
    if teacher := report.runs[0].metrics.get(f'teacher/{main}'):
        rows.append(('teacher', ['', f'{teacher.last:.2f}', '', '']))
    for summary in report.runs:
        cells = [f'{summary.iterations:,}', '', '', '']
        if metric := summary.metrics.get(main):
            cells[1:3] = f'{metric.last:.2f}', f'{metric.best:.2f} at {metric.best_iteration:,}'
        if summary.gpu_mib is not None:
            cells[3] = f'{summary.gpu_mib:,.0f} MiB'
        rows.append((summary.run.label, cells))
    kept = [k for k in range(len(columns)) if any(cells[k] for _, cells in rows)]
    return [columns[k] for k in kept], [(name, [cells[k] for k in kept]) for name, cells in rows]
