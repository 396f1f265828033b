"""Runs by their groups, such as the pairs of a table, and by what they are to the others."""

from collections.abc import Sequence
from typing import Optional

from .definition import Suite
from .summary import Row


def has_groups(table: Sequence[Row]) -> bool:
    """Whether any run is in one."""
    return any(row.run.group is not None for row in table)


def by_group(table: Sequence[Row]) -> dict[Optional[str], list[Row]]:
    """The runs of each group, in order of first appearance; those in none come first, at None."""
    groups: dict[Optional[str], list[Row]] = {None: []}
    for row in table:
        groups.setdefault(row.run.group, []).append(row)
    return {group: of for group, of in groups.items() if of}


def roles(suite: Suite) -> tuple[set[str], list[str]]:
    """The runs that teach, and those that gains are counted from."""
    runs = suite.runs.values()
    teachers = {run.teacher for run in runs if run.teacher is not None}
    return teachers, list(dict.fromkeys(run.baseline for run in runs if run.baseline is not None))
