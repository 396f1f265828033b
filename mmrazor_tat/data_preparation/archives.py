"""The official archives of the data sets: find them, and unpack what is needed of them."""

import errno
import re
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..utils.archives import DAMAGE, DataError, read_members
from .check import is_plain, read_list


@dataclass(frozen=True)
class Archive:
    """An official archive, and what of it the converters need."""

    file_name: str
    page: str  # where it is officially found, in words
    flag: str  # of the command line tool
    # The wanted ones; the first group is the path to write them to. Neither backslash nor colon,
    # which would lead outside on Windows.
    members: re.Pattern
    holds: str  # the same for the user
    lists: tuple[str, ...]  # always there; of names of files, where there are any
    files: tuple[str, ...]  # one of each for every name in the lists, which {} stands for

    def lacks(self, folder: Path) -> list[str]:
        """What of the needed files an unpacked folder has not."""
        missing = [path for path in self.lists if not (folder / path).is_file()]
        if missing or not self.files:
            return missing
        names = [name for path in self.lists for name in read_list(folder / path)]
        files = (file.format(name) for name in names if is_plain(name) for file in self.files)
        return [file for file in files if not (folder / file).is_file()]

    def find(
        self,
        given: Optional[str | Path],
        near: Sequence[Path],
        unpacked: Sequence[Path],
        prefer_archive: bool = False,
    ) -> Optional[Path]:
        """The archive, or a folder with all that is needed of it; None where there is neither.

        Args:
            given: by the user; else it is looked for.
            near: folders where the archive may lie by its official name.
            unpacked: folders into which it may be unpacked already.
            prefer_archive: for where the unpacked files are known to be damaged.

        Raises:
            DataError: ``given`` does not exist or is an incomplete folder.
        """
        if given is not None:
            given = Path(given).absolute()
            if not given.exists():
                raise DataError(f'{self.flag}: there is no {given}')
            if given.is_dir() and self.lacks(given):
                raise DataError(f'{self.flag}: {_incomplete(given, self.lacks(given))}')
            return given
        whole = (folder for folder in unpacked if not self.lacks(folder))
        archives = (folder / self.file_name for folder in near)
        archives = (path for path in archives if path.is_file())
        if prefer_archive:
            return next(archives, None) or next(whole, None)
        return next(whole, None) or next(archives, None)

    def needed(self, unpacked: Sequence[Path]) -> str:
        """How to say that ``find`` found nothing."""
        begun = [folder for folder in unpacked if (folder / self.lists[0]).is_file()]
        text = f'{self.file_name} (from {self.page}; {self.flag} if it lies elsewhere)'
        return text + ''.join(f', as {_incomplete(path, self.lacks(path))}' for path in begun[:1])

    def unpack(self, path: Path, folder: Path) -> None:
        """Write the wanted members of the archive ``path`` below ``folder``.

        Raises:
            DataError: ``path`` cannot be read, is another or an incomplete archive, or has a
                member that would lie outside of ``folder``; or there is no room to write.
        """
        found = False
        try:
            with closing(read_members(path)) as members:
                for name, open_member in members:
                    match = self.members.fullmatch(name.removeprefix('./'))
                    if match is None:
                        continue
                    found = True
                    target = folder / match[1]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with open_member() as source, target.open('wb') as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
        except DAMAGE as error:  # one of them is an OSError, so it must stand before that
            reason = str(error).partition('\n')[0].rstrip(':')
            raise DataError(
                f'{path} cannot be unpacked ({reason}): it is damaged, incomplete or another '
                f'file; get {self.file_name} anew from {self.page}'
            ) from error
        except OSError as error:
            hint = '; make room and start again' if error.errno == errno.ENOSPC else ''
            raise DataError(f'unpacking {path} failed: {error.strerror or error}{hint}') from error
        if not found:
            raise DataError(f'{path} is not {self.file_name}: it has no {self.holds}')
        if self.lacks(folder):
            raise DataError(_incomplete(path, self.lacks(folder)))


VOC_ARCHIVE = Archive(
    file_name='VOCtrainval_11-May-2012.tar',
    page='the PASCAL VOC 2012 page',
    flag='--voc-archive',
    members=re.compile(
        r'VOCdevkit/VOC2012/((?:JPEGImages|SegmentationClass|ImageSets/Segmentation)/[^/\\:]+)'
    ),
    holds='VOCdevkit/VOC2012/ with JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/',
    lists=('ImageSets/Segmentation/train.txt', 'ImageSets/Segmentation/val.txt'),
    files=('JPEGImages/{}.jpg', 'SegmentationClass/{}.png'),
)
SBD_ARCHIVE = Archive(
    file_name='benchmark.tgz',
    page='the page of SBD, the Semantic Boundaries Dataset',
    flag='--sbd-archive',
    members=re.compile(r'benchmark_RELEASE/(dataset/(?:cls/[^/\\:]+\.mat|train\.txt|val\.txt))'),
    holds='benchmark_RELEASE/dataset/ with cls/, train.txt and val.txt',
    lists=('dataset/train.txt', 'dataset/val.txt'),
    files=('dataset/cls/{}.mat',),
)
COCO_ARCHIVE = Archive(
    file_name='cocostuff-10k-v1.1.zip',
    page='the COCO-Stuff 10K v1.1 page',
    flag='--archive',
    members=re.compile(
        r'(?:[^/]+/)?(images/[^/\\:]+\.jpg|annotations/[^/\\:]+\.mat|imageLists/[^/\\:]+\.txt)'
    ),
    holds='images/*.jpg, annotations/*.mat and imageLists/*.txt',
    lists=('imageLists/train.txt', 'imageLists/test.txt'),
    files=('images/{}.jpg', 'annotations/{}.mat'),
)


def _incomplete(path: Path, lacks: list[str]) -> str:
    more = f' and {len(lacks) - 1:,} more' if len(lacks) > 1 else ''
    return f'{path} is incomplete: it lacks {lacks[0]}{more}'
