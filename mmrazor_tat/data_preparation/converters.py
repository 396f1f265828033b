"""Run mmseg's own converters, and look at what they are given first."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from scipy.io import loadmat

from .archives import COCO_ARCHIVE, SBD_ARCHIVE, VOC_ARCHIVE
from .check import SECONDS_BETWEEN_LINES, list_faults, overlaps, read_list
from .layouts import LAYOUTS, DataError

# The ids that pixels of COCO-Stuff 10K v1.1 bear. mmseg's converter would let any other pass as
# one of its classes; version 1.0 has such ids, as it numbers its classes without gaps.
_COCO_IDS = {*range(183)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
_ANNOTATIONS_TRIED = 50

# The converter is imported by its name and not run as a script: only so do its worker processes
# find its functions on platforms that start them afresh in place of forking. A log gets a line now
# and then in place of mmengine's bar, which is drawn anew for every file.
_RUN_CONVERTER = """
import importlib, io, sys, time
from mmengine.utils import progressbar
folder, name, constant, length, seconds, *arguments = sys.argv[1:]

class Lines(progressbar.ProgressBar):
    def __init__(self, task_num, *args, **kwargs):
        super().__init__(task_num, start=False, file=io.StringIO())
        self.said = time.monotonic()

    def start(self):
        pass

    def update(self, num_tasks=1):
        self.completed += num_tasks
        if time.monotonic() - self.said >= float(seconds):
            print(f'converted {self.completed:,} of {self.task_num:,}', flush=True)
            self.said = time.monotonic()

if not sys.stdout.isatty():
    progressbar.ProgressBar = Lines
sys.path.insert(0, folder)
converter = importlib.import_module(name)
assert hasattr(converter, constant), f'{name}.py has no {constant}'
if length:
    setattr(converter, constant, int(length))
sys.argv = [name, *arguments]
converter.main()
"""


def convert_voc12aug(
    voc: Path,
    sbd: Path,
    devkit: Path,
    origins: tuple[Path, Path],
    subset: bool,
    workers: int,
    say: Callable[[str], None],
) -> None:
    """Convert the labels of SBD and write the lists ``trainaug`` and ``aug``.

    Args:
        voc: the unpacked VOC2012, left as it is.
        sbd: the unpacked benchmark.
        devkit: a new folder; ``devkit/VOC2012`` gets what the root is to have more.
        origins: what errors call ``voc`` and ``sbd``, the archives that they were unpacked from.
        subset: take the counts as they are.
        workers: processes.
        say: is given lines of progress.

    Raises:
        DataError: lists at fault, or the converter failed.
    """
    # The converter writes lists beside those that it reads, so it works on copies.
    for path in VOC_ARCHIVE.lists:
        (devkit / 'VOC2012' / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(voc / path, devkit / 'VOC2012' / path)
    train, val = _read_lists(voc, VOC_ARCHIVE.lists, origins[0])
    benchmark = [
        name for names in _read_lists(sbd, SBD_ARCHIVE.lists, origins[1]) for name in names
    ]
    length = len({*train, *benchmark}.difference(val))
    official = {split.name: split.count for split in LAYOUTS['voc12aug'].splits}
    counts = [
        (VOC_ARCHIVE.lists[0], len(train), official['train']),
        (VOC_ARCHIVE.lists[1], len(val), official['val']),
        ('the training list with SBD', length, official['train'] + official['aug']),
    ]
    _refuse_counts(counts, subset)
    say('converting the labels of SBD')
    _run_converter('voc_aug', 'AUG_LEN', length if subset else None, devkit, sbd, workers)


def convert_coco_stuff10k(
    source: Path, out: Path, origin: Path, subset: bool, workers: int, say: Callable[[str], None]
) -> None:
    """Convert the annotations, and copy images and lists, into a new root ``out``.

    Args:
        source: the unpacked archive, left as it is.
        out: a new folder.
        origin: what errors call ``source``, the archive that it was unpacked from.
        subset: take the counts as they are.
        workers: processes.
        say: is given lines of progress.

    Raises:
        DataError: lists at fault, an annotation of another version, or the converter failed.
    """
    lists = _read_lists(source, COCO_ARCHIVE.lists, origin)
    _refuse_counts(
        [
            (path, len(names), split.count)
            for path, names, split in zip(
                COCO_ARCHIVE.lists, lists, LAYOUTS['coco-stuff10k'].splits
            )
        ],
        subset,
    )
    _refuse_other_numbering(source, origin, [name for names in lists for name in names])
    (out / 'imageLists').mkdir(parents=True)
    for path in COCO_ARCHIVE.lists:
        shutil.copyfile(source / path, out / path)
    say('converting the annotations')
    length = sum(map(len, lists)) if subset else None
    _run_converter('coco_stuff10k', 'COCO_LEN', length, source, '--out_dir', out, workers)


def _read_lists(folder: Path, paths: tuple[str, str], origin: Path) -> list[list[str]]:
    lists = {path: read_list(folder / path) for path in paths}
    faults = [fault for path, names in lists.items() for fault in list_faults(path, names)]
    faults += overlaps(lists)
    if faults:
        raise DataError(f'{origin}: {" ".join(faults[0].split())}')
    return list(lists.values())


def _refuse_counts(counts: list[tuple[str, int, int]], subset: bool) -> None:
    wrong = [
        f'names in {title}: {count:,}, officially {official:,}'
        for title, count, official in counts
        if count != official
    ]
    if wrong and not subset:
        raise DataError(f'{"; ".join(wrong)}. --subset takes the counts as they are')


def _refuse_other_numbering(source: Path, origin: Path, names: list[str]) -> None:
    """Look into some annotations, spread over the lists, for ids that version 1.1 has not."""
    for name in names[:: max(1, len(names) // _ANNOTATIONS_TRIED)]:
        member = f'annotations/{name}.mat'
        try:
            matrix = loadmat(source / member, variable_names=['S'])['S']
            ids = set(matrix.ravel().tolist())
        except Exception as error:  # a damaged file makes scipy raise nearly anything
            raise DataError(
                f'{origin}: {member} is unreadable: {error or type(error).__name__}'
            ) from error
        if ids - _COCO_IDS:
            found = ', '.join(map(str, sorted(ids - _COCO_IDS)))
            raise DataError(
                f'{origin}: {member} has ids that COCO-Stuff 10K v1.1 has not ({found}); is it '
                'another version?'
            )


def _run_converter(name: str, constant: str, length: Optional[int], *arguments) -> None:
    """Run one of mmseg's converters in a process of its own.

    Args:
        name: of its file.
        constant: its variable with the official count of names, which it asserts.
        length: what to put there; None leaves it, as a second look at official archives.
        *arguments: of its command line, the last one the number of processes.

    Raises:
        DataError: mmseg has no such converter, or it failed.
    """
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
        + [str(length or ''), str(SECONDS_BETWEEN_LINES), *arguments, '--nproc', workers],
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        # It writes lists in the order of a set: so they come out alike in every run.
        env={**os.environ, 'PYTHONHASHSEED': '0'},
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f'exit code {run.returncode}']
        raise DataError(f"mmseg's {name}.py failed: {lines[-1]}")
