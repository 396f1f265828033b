"""Make the roots that mmseg's configs expect from the official archives."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from .archives import COCO_ARCHIVE, SBD_ARCHIVE, VOC_ARCHIVE, Archive
from .check import RootReport, check_root, count_workers
from .converters import convert_coco_stuff10k, convert_voc12aug
from .layouts import LAYOUTS, UNFINISHED, DataError, is_root, root_nearby


def prepare_voc12aug(
    root: str | Path,
    voc_archive: Optional[str | Path] = None,
    sbd_archive: Optional[str | Path] = None,
    *,
    subset: bool = False,
    workers: Optional[int] = None,
    say: Callable[[str], None] = lambda text: None,
) -> RootReport:
    """Make ``root`` the ``data_root`` of mmseg's ``pascal_voc12_aug.py``.

    Args:
        root: .../VOCdevkit/VOC2012; made if missing. What is unpacked there already is taken.
        voc_archive: VOCtrainval_11-May-2012.tar; None looks in ``root`` and beside it.
        sbd_archive: benchmark.tgz or the folder unpacked from it; None looks likewise.
        subset: the archives are not the official ones, take their counts as they are.
        workers: processes that convert and threads that check; None is one a core.
        say: is given lines of progress.

    Returns:
        The report of a full check of the root.

    Raises:
        ValueError: ``workers`` is below 1.
        DataError: an archive is missing, unreadable or another one, ``root`` is a wrong folder, or
            the converter failed. The root is then as it was.
    """
    root, workers = _target('voc12aug', root), count_workers(workers)
    how = dict(subset=subset, workers=workers, say=say)
    before = _prepared_before('voc12aug', root, how)
    if before is not None and before.ok:
        return before
    damaged = before is not None

    near = [root, root.parent, root.parent.parent]
    unpacked_sbd = [folder / name for folder in near for name in ('benchmark_RELEASE', 'VOCaug')]
    voc = VOC_ARCHIVE.find(voc_archive, near, [root], damaged)
    sbd = SBD_ARCHIVE.find(sbd_archive, near, unpacked_sbd, damaged)
    refuse_missing('voc12aug', near, [(VOC_ARCHIVE, voc, [root]), (SBD_ARCHIVE, sbd, unpacked_sbd)])
    if voc.is_dir() and voc != root:
        raise DataError(f'--voc-archive: {voc} is a folder; to use it, name it as the root')

    origins = voc, sbd
    with staging(root) as folder:
        if voc.is_file():
            unpack(VOC_ARCHIVE, voc, folder / 'voc', say)
            voc = folder / 'voc'
        if sbd.is_file():
            unpack(SBD_ARCHIVE, sbd, folder / 'sbd', say)
            sbd = folder / 'sbd'
        convert_voc12aug(voc, sbd, folder / 'devkit', origins, subset, workers, say)
        if voc != root:
            move_into(voc, root)
        move_into(folder / 'devkit/VOC2012', root)
    return check_root('voc12aug', root, **how)


def prepare_coco_stuff10k(
    root: str | Path,
    archive: Optional[str | Path] = None,
    *,
    subset: bool = False,
    workers: Optional[int] = None,
    say: Callable[[str], None] = lambda text: None,
) -> RootReport:
    """Make ``root`` the ``data_root`` of mmseg's ``coco-stuff10k.py``.

    Args:
        root: .../coco_stuff10k; made if missing. What is unpacked there already is taken.
        archive: cocostuff-10k-v1.1.zip or the folder unpacked from it; None looks in ``root`` and
            beside it.
        subset: the archive is not the official one, take its counts as they are.
        workers: processes that convert and threads that check; None is one a core.
        say: is given lines of progress.

    Returns:
        The report of a full check of the root.

    Raises:
        ValueError: ``workers`` is below 1.
        DataError: the archive is missing, unreadable or another one, ``root`` is a wrong folder,
            or the converter failed. The root is then as it was.
    """
    root, workers = _target('coco-stuff10k', root), count_workers(workers)
    how = dict(subset=subset, workers=workers, say=say)
    before = _prepared_before('coco-stuff10k', root, how)
    if before is not None and before.ok:
        return before

    near = [root, root.parent]
    unpacked = [root, *(folder / 'cocostuff-10k-v1.1' for folder in near)]
    source = COCO_ARCHIVE.find(archive, near, unpacked, prefer_archive=before is not None)
    refuse_missing('coco-stuff10k', near, [(COCO_ARCHIVE, source, unpacked)])

    origin = source
    with staging(root) as folder:
        if source.is_file():
            unpack(COCO_ARCHIVE, source, folder / 'coco', say)
            source = folder / 'coco'
        convert_coco_stuff10k(source, folder / 'converted', origin, subset, workers, say)
        move_into(folder / 'converted', root)
    return check_root('coco-stuff10k', root, **how)


def _target(kind: str, root: str | Path) -> Path:
    """The folder to make, refused where it is plainly not the one that was meant."""
    layout, root = LAYOUTS[kind], Path(root).absolute()
    wanted = f'the root must be the data_root of mmseg, .../{layout.data_root}'
    if root.exists() and not root.is_dir():
        raise DataError(f'{root} is a file; {wanted}')
    near = None if is_root(layout, root) else root_nearby(layout, root)
    if near is not None:
        raise DataError(f'{root} is not the root that is there already, {near}; {wanted}')
    if root.name == 'VOCdevkit':
        raise DataError(f'{root} is one level too high; {wanted}')
    return root


def _prepared_before(kind: str, root: Path, how: dict) -> Optional[RootReport]:
    """The full check of a root in which nothing is missing, None for any other.

    A root is complete by what is in it, there is no mark that might lie: files come into it by
    renaming, when they are whole.
    """
    if not is_root(LAYOUTS[kind], root):
        return None
    if not check_root(kind, root, subset=how['subset'], decode=False).ok:
        return None
    report = check_root(kind, root, **how)
    how['say']('already complete, nothing to do' if report.ok else f'{report}\nmaking it anew')
    return report


def refuse_missing(
    kind: str, near: list[Path], sources: list[tuple[Archive, Optional[Path], list[Path]]]
) -> None:
    """Name the archives that were not found, with where they were looked for.

    Raises:
        DataError: there are such.
    """
    needed = [archive.needed(unpacked) for archive, path, unpacked in sources if path is None]
    if needed:
        looked = ', '.join(map(str, near))
        raise DataError(
            f'{kind} needs {" and ".join(needed)}. Nothing is downloaded; looked in {looked}'
        )


@contextlib.contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A folder in the root, so that renaming out of it never copies; gone in the end.

    So is what was made for it, the root and its parents, where nothing came into them.
    """
    for left in root.glob(f'{UNFINISHED}*'):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        # A new name each time: a converter whose parent was killed may still write under an old
        # one.
        folder = Path(tempfile.mkdtemp(prefix=f'{UNFINISHED}.', dir=root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # not empty, or not made after all
            for folder in made:
                folder.rmdir()


def unpack(archive: Archive, path: Path, folder: Path, say: Callable[[str], None]) -> None:
    """``archive.unpack``, announced."""
    say(f'unpacking {path} ({path.stat().st_size / 1e9:.1f} GB)')
    archive.unpack(path, folder)


def move_into(source: Path, target: Path) -> None:
    """Rename everything below ``source`` to below ``target``; files there are replaced."""
    for path in source.iterdir():
        if path.is_dir() and (target / path.name).is_dir():
            move_into(path, target / path.name)
        else:
            os.replace(path, target / path.name)
