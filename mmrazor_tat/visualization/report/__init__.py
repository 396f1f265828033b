"""One web page about a run: results, curves, panels, attention, environment, config."""

from .gather import Report, gather
from .page import check_page, save_report

__all__ = ['Report', 'check_page', 'gather', 'save_report']
