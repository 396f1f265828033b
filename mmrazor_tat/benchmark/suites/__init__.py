"""What a suite runs: methods, students and seeds."""

from .definition import Suite, load_suite
from .options import SuiteError
from .plan import Plan

__all__ = ['Plan', 'Suite', 'SuiteError', 'load_suite']
