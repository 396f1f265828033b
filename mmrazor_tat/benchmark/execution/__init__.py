"""How a suite runs: processes of this machine or jobs of a cluster, gone on where they stopped."""

from .executors import Executor, Task
from .launch import LAUNCHERS, Launch
from .run import dry_run, report_only, run_suite

__all__ = ['LAUNCHERS', 'Executor', 'Launch', 'Task', 'dry_run', 'report_only', 'run_suite']
