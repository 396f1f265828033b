"""The official archives of the data sets: found, and unpacked as far as they are needed."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .layouts import DataError, read_list

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, RuntimeError)


@dataclass(frozen=True)
class Archive:
    """An official archive, and what of it is needed."""

    file_name: str
    page: str  # where it is officially found, in words
    flag: str  # of the command line tool
    folder: str  # in the archive, that its files lie in
    parts: tuple[str, ...]  # the beginnings of the paths in it that are needed
    lists: tuple[str, ...]  # of names, each of which has
    files: tuple[str, ...]  # these


VOC = Archive(
    'VOCtrainval_11-May-2012.tar',
    'the PASCAL VOC 2012 page',
    '--voc-archive',
    'VOCdevkit/VOC2012/',
    ('JPEGImages/', 'SegmentationClass/', 'ImageSets/Segmentation/'),
    ('ImageSets/Segmentation/train.txt', 'ImageSets/Segmentation/val.txt'),
    ('JPEGImages/{}.jpg', 'SegmentationClass/{}.png'),
)
SBD = Archive(
    'benchmark.tgz',
    'the page of SBD, the Semantic Boundaries Dataset',
    '--sbd-archive',
    'benchmark_RELEASE/',
    ('dataset/cls/', 'dataset/train.txt', 'dataset/val.txt'),
    ('dataset/train.txt', 'dataset/val.txt'),
    ('dataset/cls/{}.mat',),
)
COCO = Archive(
    'cocostuff-10k-v1.1.zip',
    'the COCO-Stuff 10K v1.1 page',
    '--archive',
    'cocostuff-10k-v1.1/',
    ('images/', 'annotations/', 'imageLists/'),
    ('imageLists/train.txt', 'imageLists/test.txt'),
    ('images/{}.jpg', 'annotations/{}.mat'),
)


def _lacks(of: Archive, folder: Path) -> Optional[str]:
    """What of the needed files an unpacked folder has not, in words; None: it is complete."""
    missing = [path for path in of.lists if not (folder / path).is_file()]
    if not missing:
        names = [name for path in of.lists for name in read_list(folder / path)]
        files = (file.format(name) for name in names for file in of.files)
        missing = [file for file in files if not (folder / file).is_file()]
    more = f' and {len(missing) - 1:,} more' if len(missing) > 1 else ''
    return f'is incomplete: it lacks {missing[0]}{more}' if missing else None


def find(of: Archive, given, near: list[Path]) -> Path:
    """The archive, or a folder with all that is needed of it.

    Raises:
        DataError: there is neither, or what was given is neither.
    """
    if given is not None:
        given = Path(given).absolute()
        if not given.exists():
            raise DataError(f'{of.flag}: there is no {given}')
        if given.is_dir() and (lacks := _lacks(of, given)):
            raise DataError(f'{of.flag}: {given} {lacks}')
        return given
    folders = [near[0], *(place / of.folder for place in near)]
    found = [place / of.file_name for place in near if (place / of.file_name).is_file()]
    found += [folder for folder in folders if not _lacks(of, folder)]
    if found:
        return found[0]
    begun = next((folder for folder in folders if (folder / of.lists[0]).is_file()), None)
    raise DataError(
        f'{of.file_name} (from {of.page}; {of.flag} if it lies elsewhere)'
        + (f', as {begun} {_lacks(of, begun)}' if begun else '')
    )


def unpack(of: Archive, path: Path, folder: Path, say: Callable[[str], None]) -> Path:
    """Write what is needed of an archive to ``folder``; links and other members are left out."""

    def wanted(name: str) -> Optional[str]:
        if '..' in Path(name).parts or name.startswith('/'):
            raise DataError(
                f'{path} is refused: its member {name!r} would lie outside of the folder'
            )
        inside = name.removeprefix('./').removeprefix(of.folder)
        return inside if inside.startswith(of.parts) and not inside.endswith('/') else None

    def write(name: str, source) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with source, (folder / name).open('wb') as sink:
            shutil.copyfileobj(source, sink, 1 << 20)

    say(f'unpacking {path} ({path.stat().st_size / 1e9:.1f} GB)')
    try:
        if path.suffix == '.zip':
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if inside := wanted(name):
                        write(inside, archive.open(name))
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if (inside := wanted(member.name)) and member.isreg():
                        write(inside, archive.extractfile(member))
    except _DAMAGE as error:
        reason = str(error).partition('\n')[0].rstrip(':')
        raise DataError(
            f'{path} cannot be unpacked ({reason}): it is damaged, incomplete or another file; get '
            f'{of.file_name} anew from {of.page}'
        ) from error
    except OSError as error:
        raise DataError(f'unpacking {path} failed: {error.strerror or error}') from error
    if not folder.exists():
        raise DataError(f'{path} is not {of.file_name}: it has no {", ".join(of.parts)}')
    if lacks := _lacks(of, folder):
        raise DataError(f'{path} {lacks}')
    return folder
