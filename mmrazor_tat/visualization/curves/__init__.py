"""Training curves: runs read from their logs, compared in one picture."""

from .axes import AxisContent, Line, axes_of, labels_of
from .figure import check_picture, draw_runs, plot_runs
from .run import Run, read_run, read_runs
from .series import Series

__all__ = [
    'Line',
    'AxisContent',
    'Run',
    'Series',
    'check_picture',
    'draw_runs',
    'labels_of',
    'axes_of',
    'plot_runs',
    'read_run',
    'read_runs',
]
