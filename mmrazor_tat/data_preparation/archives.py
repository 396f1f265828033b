"""The official archives of the data sets: found, and unpacked as far as they are needed."""

import errno
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
    folders: tuple[str, ...]  # in the archive, that its files lie in, and as others call it
    parts: tuple[str, ...]  # the beginnings of the paths in it that are needed
    lists: tuple[str, ...]  # of names, each of which has
    files: tuple[str, ...]  # these


VOC = Archive(
    'VOCtrainval_11-May-2012.tar',
    'the PASCAL VOC 2012 page',
    '--voc-archive',
    ('VOCdevkit/VOC2012/',),
    ('JPEGImages/', 'SegmentationClass/', 'ImageSets/Segmentation/'),
    ('ImageSets/Segmentation/train.txt', 'ImageSets/Segmentation/val.txt'),
    ('JPEGImages/{}.jpg', 'SegmentationClass/{}.png'),
)
SBD = Archive(
    'benchmark.tgz',
    'the page of SBD, the Semantic Boundaries Dataset',
    '--sbd-archive',
    ('benchmark_RELEASE/', 'VOCaug/'),
    ('dataset/cls/', 'dataset/train.txt', 'dataset/val.txt'),
    ('dataset/train.txt', 'dataset/val.txt'),
    ('dataset/cls/{}.mat',),
)
COCO = Archive(
    'cocostuff-10k-v1.1.zip',
    'the COCO-Stuff 10K v1.1 page',
    '--archive',
    ('cocostuff-10k-v1.1/',),
    ('images/', 'annotations/', 'imageLists/'),
    ('imageLists/train.txt', 'imageLists/test.txt'),
    ('images/{}.jpg', 'annotations/{}.mat'),
)


def _lacks(of: Archive, folder: Path) -> list[str]:
    """What of the needed files an unpacked folder has not."""
    missing = [path for path in of.lists if not (folder / path).is_file()]
    if missing:
        return missing
    names = [name for path in of.lists for name in read_list(folder / path)]
    files = (file.format(name) for name in names for file in of.files)
    return [file for file in files if not (folder / file).is_file()]


def _incomplete(path: Path, lacks: list[str]) -> str:
    more = f' and {len(lacks) - 1:,} more' if len(lacks) > 1 else ''
    return f'{path} is incomplete: it lacks {lacks[0]}{more}'


def find(of: Archive, given, near: list[Path], prefers_archive: bool) -> Optional[Path]:
    """The archive, or a folder with all that is needed of it; None where there is neither."""
    if given is not None:
        given = Path(given).absolute()
        if not given.exists():
            raise DataError(f'{of.flag}: there is no {given}')
        if given.is_dir() and (lacks := _lacks(of, given)):
            raise DataError(f'{of.flag}: {_incomplete(given, lacks)}')
        return given
    folders = [place for place in _places(of, near) if not _lacks(of, place)]
    files = [place / of.file_name for place in near if (place / of.file_name).is_file()]
    found = files + folders if prefers_archive else folders + files
    return found[0] if found else None


def needed(of: Archive, near: list[Path]) -> str:
    """How to say that :func:`find` found nothing."""
    begun = [place for place in _places(of, near) if (place / of.lists[0]).is_file()]
    text = f'{of.file_name} (from {of.page}; {of.flag} if it lies elsewhere)'
    return text + ''.join(f', as {_incomplete(place, _lacks(of, place))}' for place in begun[:1])


def _places(of: Archive, near: list[Path]) -> list[Path]:
    """Where an archive may be unpacked already."""
    return [near[0], *(place / name for place in near for name in of.folders)]


def unpack(of: Archive, path: Path, folder: Path, say: Callable[[str], None]) -> Path:
    """Write what is needed of an archive to ``folder``; links and other members are left out."""

    def wanted(name: str) -> Optional[str]:
        if '..' in Path(name).parts or name.startswith('/'):
            raise DataError(
                f'{path} is refused: its member {name!r} would lie outside of the folder'
            )
        inside = name.removeprefix('./').removeprefix(of.folders[0])
        return inside if inside.startswith(of.parts) and not inside.endswith('/') else None

    def write(name: str, source) -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open('wb') as sink:
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
        hint = '; make room and start again' if error.errno == errno.ENOSPC else ''
        raise DataError(f'unpacking {path} failed: {error.strerror or error}{hint}') from error
    if not folder.exists():
        raise DataError(f'{path} is not {of.file_name}: it has no {", ".join(of.parts)}')
    if lacks := _lacks(of, folder):
        raise DataError(_incomplete(path, lacks))
    return folder
