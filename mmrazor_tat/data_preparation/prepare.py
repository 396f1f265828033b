"""Make the roots that mmseg's configs expect from the official archives, by mmseg's converters."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

from scipy.io import loadmat

from .archives import COCO, SBD, VOC, find, unpack
from .check import RootReport, check_root, count_workers, list_faults
from .layouts import LAYOUTS, DataError, read_list

_UNFINISHED = 'prepare_data.unfinished'
# The ids that pixels of COCO-Stuff 10K v1.1 bear. mmseg's converter would let any other pass as
# one of its classes; version 1.0 has such ids, as it numbers its classes without gaps.
_COCO_IDS = {*range(183)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
_ANNOTATIONS_TRIED = 50
# Imported by its name: only so do its worker processes find its functions on every platform.
_RUN_CONVERTER = """
import importlib, sys
folder, name, constant, length, *arguments = sys.argv[1:]
sys.path.insert(0, folder)
converter = importlib.import_module(name)
assert hasattr(converter, constant), f'{name}.py has no {constant}'
if length:
    setattr(converter, constant, int(length))
sys.argv = [name, *arguments]
converter.main()
"""


def prepare(
    kind: str,
    root: str | Path,
    archives: dict[str, Optional[str | Path]],
    *,
    subset: bool = False,
    workers: Optional[int] = None,
    say: Callable[[str], None] = lambda text: None,
) -> RootReport:
    """Make ``root`` the ``data_root`` of mmseg's config of a data set.

    Args:
        kind: 'voc12aug' or 'coco-stuff10k'.
        root: .../VOCdevkit/VOC2012 or .../coco_stuff10k; made if missing. What is unpacked there
            already is taken.
        archives: the official ones, or the folders unpacked from them, by their file names; None or
            missing: looked for in ``root`` and beside it.
        subset: the archives are not the official ones, take their counts as they are.
        workers: processes that convert and threads that check; None is one a core.
        say: is given lines of progress.

    Returns:
        The report of a full check of the root. DataError where an archive is missing, unreadable or
        another one, ``root`` is a file, or the converter failed: the root is then as it was.
    """
    root, layout, workers = Path(root).absolute(), LAYOUTS[kind], count_workers(workers)
    how = dict(subset=subset, workers=workers, say=say)
    if root.exists() and not root.is_dir():
        raise DataError(f'{root} is a file; the root must be .../{layout.data_root}')
    begun = all((root / part).is_dir() for part in layout.folders)
    if begun and check_root(kind, root, subset=subset, decode=False).ok:
        report = check_root(kind, root, **how)
        say('already complete, nothing to do' if report.ok else f'{report}\nmaking it anew')
        if report.ok:
            return report
    near = [root, *root.parents[: 2 if kind == 'voc12aug' else 1]]
    sources, missing = {}, []
    for of in (VOC, SBD) if kind == 'voc12aug' else (COCO,):
        given = archives.get(of.file_name)
        try:
            sources[of] = find(of, given, near)
        except DataError as error:
            if given is not None:
                raise
            missing.append(str(error))
    if missing:
        raise DataError(
            f'{kind} needs {" and ".join(missing)}. Nothing is downloaded; looked in '
            f'{", ".join(map(str, near))}'
        )
    if kind == 'voc12aug' and sources[VOC].is_dir() and sources[VOC] != root:
        raise DataError(f'{VOC.flag}: {sources[VOC]} is a folder; to use it, name it as the root')
    with _staging(root) as folder:
        unpacked = {
            of: unpack(of, path, folder / of.folder, say) if path.is_file() else path
            for of, path in sources.items()
        }
        for of, path in unpacked.items():
            faults = list_faults({name: read_list(path / name) for name in of.lists})
            if faults:
                raise DataError(f'{sources[of]}: {" ".join(faults[0].split())}')
        out = folder / 'converted'
        if kind == 'voc12aug':
            _convert_voc(unpacked[VOC], unpacked[SBD], out, subset, workers, say)
            if sources[VOC] != root:
                _move_into(unpacked[VOC], root)
            out = out / 'VOC2012'
        else:
            _convert_coco(unpacked[COCO], sources[COCO], out, subset, workers, say)
        _move_into(out, root)
    return check_root(kind, root, **how)


def _refuse_counts(counts: dict[str, tuple[int, int]], subset: bool) -> None:
    wrong = [
        f'names in {title}: {count:,}, officially {official:,}'
        for title, (count, official) in counts.items()
        if count != official
    ]
    if wrong and not subset:
        raise DataError(f'{"; ".join(wrong)}. --subset takes the counts as they are')


def _convert_voc(voc: Path, sbd: Path, devkit: Path, subset: bool, workers: int, say) -> None:
    """Convert the labels of SBD and write the lists ``trainaug`` and ``aug``."""
    # The converter writes lists beside those that it reads, so it works on copies.
    for path in VOC.lists:
        (devkit / 'VOC2012' / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(voc / path, devkit / 'VOC2012' / path)
    train, val = (read_list(voc / path) for path in VOC.lists)
    length = len({*train, *(n for p in SBD.lists for n in read_list(sbd / p))}.difference(val))
    official = {split.name: split.count for split in LAYOUTS['voc12aug'].splits}
    counts = {
        VOC.lists[0]: (len(train), official['train']),
        VOC.lists[1]: (len(val), official['val']),
        'the training list with SBD': (length, official['train'] + official['aug']),
    }
    _refuse_counts(counts, subset)
    say('converting the labels of SBD')
    _run_converter('voc_aug', 'AUG_LEN', length if subset else None, devkit, sbd, workers)


def _convert_coco(
    source: Path, origin: Path, out: Path, subset: bool, workers: int, say: Callable[[str], None]
) -> None:
    """Convert the annotations, and copy images and lists."""
    lists = {path: read_list(source / path) for path in COCO.lists}
    official = (split.count for split in LAYOUTS['coco-stuff10k'].splits)
    counts = {path: (len(names), n) for (path, names), n in zip(lists.items(), official)}
    _refuse_counts(counts, subset)
    names = [name for of in lists.values() for name in of]
    for name in names[:: max(1, len(names) // _ANNOTATIONS_TRIED)]:
        member = f'annotations/{name}.mat'
        try:
            ids = set(loadmat(source / member, variable_names=['S'])['S'].ravel().tolist())
        except Exception as error:  # a damaged file makes scipy raise nearly anything
            text = f'{origin}: {member} is unreadable: {error or type(error).__name__}'
            raise DataError(text) from error
        if odd := sorted(ids - _COCO_IDS):
            raise DataError(
                f'{origin}: {member} has ids that COCO-Stuff 10K v1.1 has not '
                f'({", ".join(map(str, odd))}); is it another version?'
            )
    (out / 'imageLists').mkdir(parents=True)
    for path in COCO.lists:
        shutil.copyfile(source / path, out / path)
    say('converting the annotations')
    length = len(names) if subset else None
    _run_converter('coco_stuff10k', 'COCO_LEN', length, source, '--out_dir', out, workers)


def _run_converter(name: str, constant: str, length: Optional[int], *arguments) -> None:
    """Run one of mmseg's converters, a file ``name``.py, in a process of its own; ``constant``: its
    variable with the official count of names, which it asserts and ``length`` replaces. The last
    argument is the number of processes."""
    spec = importlib.util.find_spec('mmseg')
    places = spec.submodule_search_locations if spec else []
    folders = [Path(place) / '.mim/tools/dataset_converters' for place in places]
    folder = next((folder for folder in folders if (folder / f'{name}.py').is_file()), None)
    if folder is None:
        raise DataError(
            f'the installed mmsegmentation has no .mim/tools/dataset_converters/{name}.py'
        )
    *arguments, workers = map(str, arguments)
    run = subprocess.run(
        [sys.executable, '-B', '-c', _RUN_CONVERTER, str(folder), name, constant]
        + [str(length or ''), *arguments, '--nproc', workers],
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        # It writes lists in the order of a set: so they come out alike in every run.
        env={**os.environ, 'PYTHONHASHSEED': '0'},
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f'exit code {run.returncode}']
        raise DataError(f"mmseg's {name}.py failed: {lines[-1]}")


@contextlib.contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """A folder in the root, so that renaming out of it never copies; gone in the end.

    So is what was made for it, the root and its parents, where nothing came into them.
    """
    for left in root.glob(f'{_UNFINISHED}*'):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    # A new name each time: a converter whose parent was killed may still write under an old one.
    folder = Path(tempfile.mkdtemp(prefix=f'{_UNFINISHED}.', dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty
            for folder in made:
                folder.rmdir()


def _move_into(source: Path, target: Path) -> None:
    """Rename everything below ``source`` to below ``target``; files there are replaced."""
    for path in source.iterdir():
        if path.is_dir() and (target / path.name).is_dir():
            _move_into(path, target / path.name)
        else:
            os.replace(path, target / path.name)
