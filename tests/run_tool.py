"""A tool of ours in this process: a second in the place of five."""

import io
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from mmengine.utils import ManagerMixin


class Ended(NamedTuple):
    """How a tool ended."""

    code: object  # of SystemExit: None, a number, or the text for the terminal
    printed: str
    errors: str  # of it, what went to stderr

    @property
    def line(self) -> str:
        """The message: that of SystemExit, or argparse's last line."""
        if isinstance(self.code, str):
            return self.code
        return self.printed.strip().splitlines()[-1] if self.printed.strip() else ''


def run_tool(repo: Path, tool: str, *arguments) -> Ended:
    """A tool of ours as if it were called, in this process."""
    argv, printed = sys.argv, io.StringIO()
    errors = _CopiedTo(printed)
    variables = dict(os.environ)
    sys.argv = [tool, *map(str, arguments)]
    sys.path.insert(0, str(repo / 'tools'))
    try:
        with own_instances(), redirect_stdout(printed), redirect_stderr(errors):
            runpy.run_path(str(repo / 'tools' / f'{tool}.py'), run_name='__main__')
        code = None
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = argv
        sys.path.remove(str(repo / 'tools'))
        os.environ.clear()
        os.environ.update(variables)
    return Ended(code, printed.getvalue(), errors.getvalue())


class _CopiedTo(io.StringIO):
    """All that is written goes to another as well."""

    def __init__(self, other: io.StringIO) -> None:
        super().__init__()
        self.other = other

    def write(self, text: str) -> int:
        self.other.write(text)
        return super().write(text)


@contextmanager
def own_instances() -> Iterator[None]:
    """Inside, mmengine knows no logger, hub or scope of before; after it, none of inside.

    By name and second it would find those of another run again.
    """
    before = [(kind, dict(kind._instance_dict)) for kind in _kinds(ManagerMixin)]
    for kind, _ in before:
        kind._instance_dict.clear()
    try:
        yield
    finally:
        for kind in _kinds(ManagerMixin):
            kind._instance_dict.clear()
        for kind, instances in before:
            kind._instance_dict.update(instances)


def _kinds(parent: type) -> list[type]:
    """A class's subclasses, and theirs."""
    return [one for kind in parent.__subclasses__() for one in (kind, *_kinds(kind))]
