"""One web page about a run: results, curves, panels, attention, versions, config."""

from .gather import Report, gather
from .page import save_report
from .summary import RunSummary, summarize

__all__ = ['Report', 'RunSummary', 'gather', 'save_report', 'summarize']
