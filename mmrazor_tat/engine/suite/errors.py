"""The one error of the runner, and how it names what would fit."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class SuiteError(ValueError):
    """A suite, or a call of the runner, that cannot be carried out as asked."""


def nearest(name: Any, known: Iterable[str]) -> str:
    """'; nearest: ...' or, where nothing is near, '; known: ...'."""
    known = list(known)
    close = get_close_matches(str(name), known, n=1)
    return f'; nearest: {close[0]!r}' if close else f'; known: {", ".join(known)}'
