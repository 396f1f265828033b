"""Suites of trainings: many methods, students and seeds, compared in one report."""

from .definition import Suite, load_suite
from .errors import SuiteError
from .launch import LAUNCHERS, Launch
from .plan import Plan
from .runner import dry_run, report_only, run_suite

__all__ = [
    'LAUNCHERS',
    'Launch',
    'Plan',
    'Suite',
    'SuiteError',
    'dry_run',
    'load_suite',
    'report_only',
    'run_suite',
]
