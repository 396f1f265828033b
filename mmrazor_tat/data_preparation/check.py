"""Check a root of Pascal VOC 2012 aug or of COCO-Stuff 10K, as mmseg's configs read it."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Optional

from PIL import Image

from .layouts import LAYOUTS, DataError, Layout, read_list

_NAMES_SHOWN = 20


@dataclass(frozen=True)
class RootReport:
    """What a check found; ``str()`` is the text for the user."""

    kind: str
    root: Path
    counts: dict[str, int]  # names in each list
    read: int  # pairs of image and label that were decoded
    problems: tuple[str, ...]
    notes: tuple[str, ...]  # counts that ``subset`` lets pass

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        if not self.ok:
            found = [*self.problems, *(f'note: {note}' for note in self.notes)]
            return '\n- '.join([f'{self.kind} root {self.root} is not in order:', *found])
        official = {split.name: f' of {split.count:,}' for split in LAYOUTS[self.kind].splits}
        counts = (f'{k} {n:,}' + official[k] * bool(self.notes) for k, n in self.counts.items())
        return (
            f'{self.kind} root {self.root} is in order{" as a subset" * bool(self.notes)}: '
            f'{", ".join(counts)}; {self.read:,} pairs of image and label read'
        )


def check_root(
    kind: str,
    root: str | Path,
    *,
    subset: bool = False,
    decode: bool = True,
    workers: Optional[int] = None,
    say: Callable[[str], None] = lambda text: None,
) -> RootReport:
    """Check a root, the ``data_root`` of mmseg's config, without changing it.

    Args:
        kind: a key of ``LAYOUTS``.
        subset: take other counts than the official ones as a note, not as a problem.
        decode: read every listed image and label, by so many threads as ``workers`` says (None: one
            a core); else only see that they are there.
        say: is given a line of progress.

    Raises:
        ValueError, DataError: no such kind, ``workers`` below 1, or no root of that kind.
    """
    if kind not in LAYOUTS:
        raise ValueError(f'kind must be one of {", ".join(LAYOUTS)}, got {kind!r}')
    workers, layout, root = count_workers(workers), LAYOUTS[kind], Path(root).absolute()
    if lacks := [f'{part}/' for part in layout.folders if not (root / part).is_dir()]:
        fault = f'it lacks {" and ".join(lacks)}' if root.is_dir() else 'there is no such folder'
        if (root / 'imageLists').is_dir():
            fault += '; it is unpacked but not converted, prepare it first'
        raise DataError(f'{root} is not a {kind} root (.../{layout.data_root}): {fault}')
    problems, lists = [], {}
    for split in layout.splits:
        if (root / split.list_file).is_file():
            lists[split] = read_list(root / split.list_file)
        else:
            made = ' (the conversion makes it)' * (split.name == 'aug')
            problems.append(f'{split.list_file} is missing{made}')
    problems += list_faults({split.list_file: names for split, names in lists.items()})
    wrong_counts = [
        f'names in {split.list_file}: {len(names):,}, officially {split.count:,}'
        for split, names in lists.items()
        if names and len(names) != split.count
    ]
    every = [(split, name) for split, names in lists.items() for name in names if _is_plain(name)]
    pairs = list(dict.fromkeys((of.image.format(n), of.label.format(n)) for of, n in every))
    files = dict.fromkeys(itertools.chain.from_iterable(pairs))
    missing = [file for file in files if not (root / file).is_file()]
    problems += listing('missing files', missing)
    for split in lists if layout.reads_folder else ():
        found = (root / Path(split.image).parent).rglob('*.jpg')
        extra = sorted({path.relative_to(root).as_posix() for path in found} - set(files))
        problems += listing(
            f'images that mmseg would read but {split.list_file} does not name', extra
        )
    pairs = [pair for pair in pairs if not set(missing) & set(pair)] if decode else []
    if decode:
        say(f'reading {len(pairs):,} pairs of image and label')
        # Threads are enough: Pillow decodes outside of Python's lock.
        with ThreadPool(workers) as pool:
            found = pool.imap(lambda pair: list(_faults(root, *pair, layout)), pairs)
            faults = list(itertools.chain.from_iterable(found))
        for title in sorted({title for title, _ in faults}):
            problems += listing(title, dict.fromkeys(of for name, of in faults if name == title))
    return RootReport(
        kind=kind,
        root=root,
        counts={split.name: len(names) for split, names in lists.items()},
        read=len(pairs),
        problems=tuple(problems if subset else wrong_counts + problems),
        notes=tuple(wrong_counts if subset else ()),
    )


def count_workers(workers: Optional[int]) -> int:
    """``workers``, or one a core where it is None; ValueError below 1."""
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    return workers or os.cpu_count() or 1


def list_faults(lists: dict[str, list[str]]) -> list[str]:
    """What is wrong with lists of names, by their titles: empty, twice, no name, in two of them."""
    found = []
    for title, names in lists.items():
        found += [] if names else [f'{title} is empty']
        twice = [name for name, count in Counter(names).items() if count > 1 and name]
        odd = [f'line {i}: {name!r}' for i, name in enumerate(names, 1) if not _is_plain(name)]
        found += listing(f'names more than once in {title}', twice)
        found += listing(f'lines of {title} that are no name', odd)
    for (title, names), (other, others) in itertools.combinations(lists.items(), 2):
        shared = sorted(set(names) & set(others) - {''})
        found += listing(f'names both in {title} and in {other}', shared)
    return found


def listing(title: str, items: Iterable[str]) -> list[str]:
    """No text without items, else one: the title, how many they are, and the first of them."""
    items = list(items)
    shown = [f'    {item}' for item in items[:_NAMES_SHOWN]]
    if len(items) > _NAMES_SHOWN:
        shown.append(f'    and {len(items) - _NAMES_SHOWN:,} more')
    return ['\n'.join([f'{title}: {len(items):,}', *shown])] if items else []


def _is_plain(name: str) -> bool:
    """Whether a name of a list is one: not empty, and no path that may lead elsewhere."""
    return name not in ('', '.', '..') and not {'/', '\\'} & set(name)


def _faults(root: Path, image: str, label: str, layout: Layout) -> Iterator[tuple[str, str]]:
    """(title, text) of everything wrong with one pair of image and label."""
    decoded = {}
    for file in (image, label):
        try:
            with Image.open(root / file) as opened:
                decoded[file] = opened.copy()  # decodes all of it
        except Exception as error:  # a broken file makes Pillow's decoders raise nearly anything
            unknown = isinstance(error, Image.UnidentifiedImageError)  # which repeats the path
            yield 'unreadable files', f'{file} ({"not an image" if unknown else error})'
    if label in decoded and decoded[label].mode not in ('L', 'P'):
        text = f'{label} (mode {decoded[label].mode})'
        yield 'labels that are not class ids in one channel of 8 bits', text
    elif label in decoded:
        counts = decoded[label].histogram()  # pixels of each of the ids 0..255
        odd = [str(i) for i, count in enumerate(counts) if count and i not in layout.label_ids]
        if odd:
            yield 'labels with ids out of range', f'{label} ({", ".join(odd)})'
    if len(decoded) == 2 and decoded[image].size != decoded[label].size:
        sizes = [f'{decoded[file].width} x {decoded[file].height}' for file in (label, image)]
        yield 'labels of another size than their image', f'{label} ({sizes[0]}, image {sizes[1]})'
