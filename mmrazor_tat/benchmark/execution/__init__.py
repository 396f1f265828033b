"""How a suite runs: processes of this machine or of a cluster, gone on where they were stopped."""

from .launch import LAUNCHERS, Launch
from .runner import dry_run, report_only, run_suite

__all__ = ['LAUNCHERS', 'Launch', 'dry_run', 'report_only', 'run_suite']
