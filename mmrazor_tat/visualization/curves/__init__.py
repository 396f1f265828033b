"""Training curves: runs read from their logs, compared in one picture."""

from .axes import axes_of
from .figure import draw_runs, plot_runs
from .run import Run, read_run, read_runs, series

__all__ = [
    'Run',
    'axes_of',
    'draw_runs',
    'labels_of',
    'plot_runs',
    'read_run',
    'read_runs',
    'series',
]
