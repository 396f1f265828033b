"""mmengine's files on a disk, written as a whole or not at all."""

from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from .files import write_bytes_atomically

NAME = 'mmrazor_tat.atomic'


class AtomicBackend(LocalBackend):
    """mmengine's ``LocalBackend``, whose ``put`` a kill or a full disk cannot cut through.

    Raises:
        OSError: in ``put``; what was there before still is.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        write_bytes_atomically(Path(filepath), bytes(obj))


class RemovesLater(AtomicBackend):
    """Keeps what it is told to remove until :meth:`remove_now`.

    mmengine's ``CheckpointHook`` makes room before it writes: a kill in between would leave none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[Path, int] = {}

    def remove(self, filepath: Union[str, Path]) -> None:
        path = Path(filepath)
        self._waiting[path] = path.stat().st_mtime_ns

    def remove_now(self) -> None:
        """Remove what waits for it, unless it has been written anew."""
        for path, written in self._waiting.items():
            if path.exists() and path.stat().st_mtime_ns == written:
                path.unlink()
        self._waiting.clear()


register_backend(NAME, AtomicBackend, force=True)
