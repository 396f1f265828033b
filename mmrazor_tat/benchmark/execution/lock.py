"""One call at a time in a folder, and none beside a training that an earlier one left behind."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..suites.options import SuiteError

_PATIENCE = 60  # seconds; torchrun takes 30 to end its workers


@contextlib.contextmanager
def lock(out: Path, patience: float = _PATIENCE) -> Iterator[int]:
    """Hold the lock of a suite's folder.

    The trainings inherit the descriptor, so the lock is held until the last one has ended. After a
    call that was killed they end by themselves: that is waited for.

    Args:
        out: the folder; made if missing.
        patience: seconds to wait for the trainings of a killed call.

    Yields:
        The descriptor, to be handed to the children.

    Raises:
        SuiteError: another call is at work there.
    """
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out / '.lock', os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, out, time.monotonic() + patience)
        holder = dict(pid=os.getpid(), host=socket.gethostname(), since=time.strftime('%F %T'))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, out: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(descriptor)
        if not _is_gone(holder):
            raise SuiteError(
                f'{out} is in use by process {holder.get("pid", "?")} on {holder.get("host", "?")} '
                f'since {holder.get("since", "?")}: one call at a time; choose another --out'
            )
        if time.monotonic() > until:
            raise SuiteError(
                f'{out}: process {holder["pid"]} is gone, but a training of its is still running '
                'there: end it first'
            )
        time.sleep(0.2)


def _holder(descriptor: int) -> dict[str, Any]:
    try:
        return json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # it is just being written
        return {}


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the process that took the lock is known to have ended."""
    if holder.get('host') != socket.gethostname():
        return False
    try:
        os.kill(holder['pid'], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
