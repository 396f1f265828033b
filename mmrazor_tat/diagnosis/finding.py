"""What a check finds."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A likely reason for a student that does not gain."""

    cause: str  # in one line
    measured: str
    expected: str
    remedy: str  # what to type, or to change
    bars: dict[str, float] = field(default_factory=dict)  # what was compared, for a picture


class NotCheckedError(Exception):
    """A check has nothing to look at; the text says what it lacks."""
