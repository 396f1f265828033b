"""The root that mmpretrain's configs of CIFAR-100 and ``CIFARArchive`` expect: made, checked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from ..datasets.cifar_files import LABELS, Images, out_of_range, parse_images, parse_names
from ..datasets.cifar_source import ARCHIVE, FILES, FOLDER, META, SPLITS, check_md5
from .archives import CIFAR_ARCHIVE
from .check import RootReport, listing
from .layouts import DataError
from .prepare import move_into, refuse_missing, staging, unpack

KIND = 'cifar100'
_COUNTS = {'train': 50000, 'test': 10000}
_CLASSES = {'fine': 100, 'coarse': 20}


@dataclass(frozen=True)
class CIFARReport(RootReport):
    """What a check found; ``str()`` is the text for the user."""

    unit: ClassVar[str] = 'images and labels'

    @property
    def official(self) -> dict[str, int]:
        return _COUNTS


def prepare_cifar100(
    root: str | Path,
    archive: Optional[str | Path] = None,
    *,
    subset: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> RootReport:
    """Make ``root`` the ``data_root`` of mmpretrain's ``cifar100_bs16.py``.

    Args:
        root: .../cifar100, which gets ``cifar-100-python/``; made if missing.
        archive: cifar-100-python.tar.gz; None looks in ``root`` and beside it.
        subset: the archive is not the official one: its md5 and its counts are taken as they are.
        say: is given lines of progress.

    Returns:
        The report of a full check of the root.

    Raises:
        DataError: the archive is missing, unreadable or another one, or ``root`` is a wrong
            folder. The root is then as it was.
    """
    root = _right_level(root)
    if not CIFAR_ARCHIVE.lacks(root / FOLDER):
        report = _check(root, root / FOLDER, subset)
        say('already complete, nothing to do' if report.ok else f'{report}\nmaking it anew')
        if report.ok:
            return report
    near = [root, root.parent]
    source = CIFAR_ARCHIVE.find(archive, near, [])
    refuse_missing(KIND, near, [(CIFAR_ARCHIVE, source, [])])
    if source.is_dir():
        raise DataError(f'--archive: {source} is a folder; --check checks what is extracted')
    if not subset:
        try:
            check_md5(source, ARCHIVE)
        except DataError as error:
            raise DataError(
                f'{error}; get it anew from {CIFAR_ARCHIVE.page} (--subset takes other data in '
                'its layout)'
            ) from None
    with staging(root) as folder:
        unpack(CIFAR_ARCHIVE, source, folder / FOLDER, say)
        report = _check(root, folder / FOLDER, subset)
        if not report.ok:
            raise DataError(f'{source}: ' + ' '.join(report.problems[0].split()))
        move_into(folder, root)
    return report


def check_cifar100(root: str | Path, *, subset: bool = False) -> RootReport:
    """Check a root without changing it: md5, counts, labels, and images of each class.

    Args:
        root: the ``data_root`` of mmpretrain's config, which holds ``cifar-100-python/``.
        subset: other data in the layout: no md5, and other counts than the official ones are a
            note, not a problem.

    Raises:
        DataError: ``root`` is no such root.
    """
    root = _right_level(root)
    folder = root / FOLDER
    if not folder.is_dir():
        fault = f'it lacks {FOLDER}/' if root.is_dir() else 'there is no such folder'
        if (root / ARCHIVE).is_file():
            fault += f'; {ARCHIVE} is there but not extracted, prepare it first'
        raise DataError(f'{root} is not a {KIND} root (.../cifar100): {fault}')
    return _check(root, folder, subset)


def _right_level(root: str | Path) -> Path:
    root = Path(root).absolute()
    wanted = f'the root must be the data_root of mmpretrain, .../cifar100, which holds {FOLDER}/'
    if root.exists() and not root.is_dir():
        raise DataError(f'{root} is a file; {wanted}')
    if root.name == FOLDER:
        raise DataError(f'{root} is one level too low, did you mean {root.parent}? {wanted}')
    return root


def _check(root: Path, folder: Path, subset: bool) -> CIFARReport:
    """Check the three files in ``folder``, which are, or will be, those of ``root``."""
    problems, wrong_counts = [], []
    contents = {}
    for file in FILES:
        if not (folder / file).is_file():
            problems.append(f'{FOLDER}/{file} is missing')
            continue
        contents[file] = (folder / file).read_bytes()
        if not subset:
            _note(problems, check_md5, Path(FOLDER, file), file, contents[file])
    names = None
    if META in contents:
        names = _note(problems, parse_names, contents[META], Path(FOLDER, META))
    classes = {kind: len(names[kind]) for kind in LABELS} if names else _CLASSES
    wrong_counts += [
        f'{kind}_label_names in {FOLDER}/{META}: {count:,}, officially {_CLASSES[kind]}'
        for kind, count in classes.items()
        if count != _CLASSES[kind]
    ]
    counts = {}
    for split in SPLITS:
        images = None
        if split in contents:
            images = _note(problems, parse_images, contents.pop(split), Path(FOLDER, split))
        if images is None:
            continue
        counts[split] = len(images.images)
        problems += _label_faults(images, split, classes)
        if counts[split] != _COUNTS[split]:
            wrong_counts.append(
                f'images in {FOLDER}/{split}: {counts[split]:,}, officially {_COUNTS[split]:,}'
            )
        elif not subset:
            problems += _uneven_classes(images, split)
    return CIFARReport(
        kind=KIND,
        root=root,
        counts=counts,
        read=sum(counts.values()),
        problems=tuple(problems if subset else wrong_counts + problems),
        notes=tuple(wrong_counts if subset else ()),
    )


def _note(problems: list[str], function: Callable, *args):
    """The result of ``function``; where it finds a fault, None, and the fault is noted."""
    try:
        return function(*args)
    except DataError as error:
        problems.append(str(error))
        return None


def _label_faults(images: Images, split: str, classes: dict[str, int]) -> list[str]:
    faults = []
    for kind, count in classes.items():
        title = f'{kind}_labels of {FOLDER}/{split} out of the range 0 to {count - 1}'
        faults += listing(title, out_of_range(images.labels[kind], count))
    return faults


def _uneven_classes(images: Images, split: str) -> list[str]:
    faults = []
    for kind, classes in _CLASSES.items():
        found, each = Counter(images.labels[kind]), _COUNTS[split] // classes
        odd = [f'{k}: {found[k]:,}' for k in range(classes) if found[k] != each]
        title = f'{kind} classes of {FOLDER}/{split} with other than {each:,} images'
        faults += listing(title, odd)
    return faults
