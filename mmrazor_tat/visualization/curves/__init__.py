"""Training curves: runs read from their logs, compared in one picture."""

from .axes import Line, Panel, labels_of, panels_of
from .figure import check_picture, draw_runs, plot_runs
from .run import Run, read_run, read_runs
from .series import Series

__all__ = [
    'Line',
    'Panel',
    'Run',
    'Series',
    'check_picture',
    'draw_runs',
    'labels_of',
    'panels_of',
    'plot_runs',
    'read_run',
    'read_runs',
]
