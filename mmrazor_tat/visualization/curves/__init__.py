"""Training curves: runs read from their logs, compared in one picture."""

from .axes import AxisContent, Line, axes_of
from .figure import check_picture, draw_runs, plot_runs
from .run import Run, labels_of, read_run, read_runs, series

__all__ = [
    'AxisContent',
    'Line',
    'Run',
    'axes_of',
    'check_picture',
    'draw_runs',
    'labels_of',
    'plot_runs',
    'read_run',
    'read_runs',
    'series',
]
