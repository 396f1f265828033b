"""Suites of trainings, compared in one report."""
