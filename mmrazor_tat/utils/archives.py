"""Archives, read without trusting them, and the error for data that cannot be used."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO


class DataError(ValueError):
    """Data or an archive that cannot be used; its text is one line for the user."""


# What a damaged archive, or a file that is none, makes ``read_members`` raise.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    RuntimeError,  # zipfile's for a password and for an unknown compression
)


def read_members(path: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """(name, function that opens it) of every plain file in a zip or a tar.

    Links and devices are left out and the contents alone are written, so there is nothing that
    tarfile's own filters would have to judge, on any version of Python.

    Raises:
        DataError: a member would lie outside of the folder that it is unpacked to.
    """
    if path.suffix == '.zip':
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _refuse_outside(path, info.filename)
                if not info.is_dir():
                    yield info.filename, lambda info=info: archive.open(info)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                _refuse_outside(path, member.name)
                if member.isreg():
                    yield member.name, lambda member=member: archive.extractfile(member)


def _refuse_outside(path: Path, name: str) -> None:
    if name.startswith('/') or '..' in PurePosixPath(name).parts:
        raise DataError(f'{path} is refused: its member {name!r} would lie outside of the folder')
