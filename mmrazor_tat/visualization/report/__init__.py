"""One web page about a run: results, curves, panels, attention, versions, config."""

from .gather import Report, gather
from .page import save_report

__all__ = ['Report', 'gather', 'save_report']
