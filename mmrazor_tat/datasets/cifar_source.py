"""CIFAR-100's python layout: its three files, found in a folder or in an archive."""

import hashlib
import io
import re
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Optional

from ..utils.archives import DAMAGE, DataError, read_members

FOLDER = 'cifar-100-python'
ARCHIVE = f'{FOLDER}.tar.gz'
SPLITS = ('train', 'test')
META = 'meta'
FILES = (*SPLITS, META)
# As published at https://www.cs.toronto.edu/~kriz/cifar.html.
OFFICIAL_MD5 = {
    ARCHIVE: 'eb9058c3a382ffc7106e4002c42a8d85',
    'train': '16019d7e3df5f24257cddd939b257f8d',
    'test': 'f0ef6b0ae62326f3e7ffdfab6717acfc',
    'meta': '7973b15100ade9c7d40fb424638fde48',
}
_ARCHIVES = (ARCHIVE, f'{FOLDER}.tgz', f'{FOLDER}.tar')
_MEMBER = re.compile(rf'(?:\./)?{FOLDER}/([^/]+)')


def find_source(data_root: str | Path, files: Iterable[str]) -> Path:
    """The folder with ``files``, or the archive.

    Args:
        data_root: the folder ``cifar-100-python``, an archive of it, or what holds either of them.
            A folder with all of ``files`` goes before an archive.
        files: names of ``FILES``.

    Raises:
        FileNotFoundError: there is neither; what is there is named.
    """
    root, files = Path(data_root), tuple(files)
    if root.is_file():
        return root
    if not root.is_dir():
        raise FileNotFoundError(
            f'data_root: there is no {root.absolute()}; it must be {FOLDER}/, an archive such as '
            f'{ARCHIVE}, or the folder that holds one of them'
        )
    folders = [folder for folder in (root / FOLDER, root) if folder.is_dir()]
    for folder in folders:
        if all((folder / file).is_file() for file in files):
            return folder
    for name in _ARCHIVES:
        if (root / name).is_file():
            return root / name
    for folder in folders:
        has = [file for file in FILES if (folder / file).is_file()]
        if has:
            lacks = ' and no '.join(repr(file) for file in files if file not in has)
            raise FileNotFoundError(f'data_root: {folder} has no {lacks}; it has {some(has)}')
    raise FileNotFoundError(
        f'data_root: {root} has neither {FOLDER}/ with {", ".join(files)} nor {ARCHIVE}; it has '
        f'{some(path.name for path in root.iterdir())}'
    )


def read_source(source: Path, files: Iterable[str]) -> dict[str, bytes]:
    """The contents of ``files`` out of the folder or the archive ``source``.

    Raises:
        DataError: the archive cannot be read, or lacks one of them.
        OSError: a file of the folder cannot be read.
    """
    files = tuple(files)
    if source.is_dir():
        return {file: (source / file).read_bytes() for file in files}
    contents, members_seen = {}, []
    try:
        with closing(read_members(source)) as members:
            for name, open_member in members:
                members_seen.append(name)
                match = _MEMBER.fullmatch(name)
                if match is None or match[1] not in files:
                    continue
                with open_member() as member:
                    contents[match[1]] = member.read()
                if len(contents) == len(files):
                    break
    except DAMAGE as error:
        reason = str(error).partition('\n')[0].rstrip(':') or type(error).__name__
        raise DataError(
            f'{source} cannot be read ({reason}): it is damaged, truncated or no archive such as '
            f'{ARCHIVE}, which has the md5 {OFFICIAL_MD5[ARCHIVE]} as published'
        ) from error
    missing = [f'{FOLDER}/{file}' for file in files if file not in contents]
    if missing:
        raise DataError(f'{source} has no {" and no ".join(missing)}; it has {some(members_seen)}')
    return contents


def check_md5(path: Path, name: str, content: Optional[bytes] = None) -> None:
    """See that a file is the published one.

    Args:
        path: of the file.
        name: a key of ``OFFICIAL_MD5``.
        content: of the file, where it is at hand.

    Raises:
        DataError: it is another.
    """
    digest = hashlib.md5(usedforsecurity=False)  # which names a file here, and proves nothing
    with path.open('rb') if content is None else io.BytesIO(content) as file:
        for part in iter(partial(file.read, 1 << 20), b''):
            digest.update(part)
    found = digest.hexdigest()
    if found != OFFICIAL_MD5[name]:
        raise DataError(
            f'{path} has the md5 {found}, {name} as published {OFFICIAL_MD5[name]}: it is damaged, '
            'incomplete or other data'
        )


def some(names: Iterable[str], most: int = 6) -> str:
    """The names in order, or the first of them and how many more there are."""
    names = sorted(names)
    more = f' and {len(names) - most:,} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more if names else 'nothing'
