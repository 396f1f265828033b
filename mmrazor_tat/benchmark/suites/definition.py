"""What a suite asks for: its file is read and checked as a whole before anything runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Optional

from mmengine import Config

from ...utils.configs import config_path
from .options import SuiteError, nearest, read_options
from .toy_data import read_toy_data

_SUITE_KEYS = ('title', 'seeds', 'metric', 'baseline', 'options', 'toy_data', 'runs')
_RUN_KEYS = (
    *('config', 'label', 'group', 'seeds', 'teacher', 'start', 'paper', 'note', 'options'),
    'baseline',
)
_SUITES = Path(__file__).parents[2] / '.mim' / 'configs' / 'suites'


@dataclass(frozen=True)
class Run:
    """One row of the report: a config that is trained with each of its seeds."""

    name: str
    config: Path
    label: str
    seeds: tuple[int, ...]
    teacher: Optional[str]  # the run whose last checkpoint is the teacher
    start: Optional[str]  # the run whose initial weights the student starts from
    paper: Optional[float]
    note: Optional[str]  # below the table
    options: dict[str, Any]
    baseline: Optional[str]  # the run that the gain is counted from; the suite's unless it is named
    group: Optional[str] = None  # the heading of its table


@dataclass(frozen=True)
class Suite:
    """A checked suite."""

    name: str  # of the file
    path: Path
    title: str
    seeds: tuple[int, ...]
    metric: str
    options: dict[str, Any]
    toy_data: Optional[dict[str, Any]]
    runs: dict[str, Run]  # in order

    def teacher_of(self, run: Run, seed: int) -> Optional[tuple[str, int]]:
        """Run and seed of the teacher: its single seed, or the same one."""
        if run.teacher is None:
            return None
        seeds = self.runs[run.teacher].seeds
        return run.teacher, seeds[0] if len(seeds) == 1 else seed

    def start_of(self, run: Run) -> Optional[str]:
        """The run whose network is drawn for this one: its start, or the start's and so on.

        A run that another one starts from is its own start, so that both read the same file.
        """
        name = run.name
        while self.runs[name].start is not None:
            name = self.runs[name].start
        is_shared = any(other.start == run.name for other in self.runs.values())
        return name if run.start is not None or is_shared else None


def load_suite(suite: str, seeds: Optional[Sequence[int]] = None) -> Suite:
    """Read and check a suite.

    Args:
        suite: path of its file, or the bare name of a shipped one ('tiny').
        seeds: instead of the suite's own; a run that names its seeds keeps them.

    Raises:
        SuiteError: there is no such suite, or the first thing that is wrong in it.
    """
    path = _find(suite)
    try:
        content = Config.fromfile(path).to_dict()
    except Exception as error:  # whatever a Python file can raise
        raise SuiteError(f'suite {path} cannot be read: {type(error).__name__}: {error}') from error
    _known(content, _SUITE_KEYS, 'a suite')
    for key in ('title', 'metric', 'runs', 'seeds'):
        if key not in content:
            raise SuiteError(f'a suite needs {key!r}, which {path} lacks')
    metric = _text(content['metric'], 'metric')
    default = content.get('baseline')
    options = read_options(content.get('options', {}), 'options')
    own_seeds = _seeds(content['seeds'], 'seeds')
    own_seeds = own_seeds if seeds is None else _seeds(seeds, '--seeds')
    if not isinstance(content['runs'], dict) or not content['runs']:
        _wrong('runs', 'a dict with at least one run', content['runs'])
    runs = {
        name: _run(name, of, own_seeds, path.parent, options)
        for name, of in content['runs'].items()
    }
    _is_run(default, 'baseline', runs)
    runs = {
        name: run
        if name == default or 'baseline' in content['runs'][name]
        else replace(run, baseline=default)
        for name, run in runs.items()
    }
    _check_relations(runs)
    return Suite(
        name=path.stem,
        path=path,
        title=_text(content['title'], 'title'),
        seeds=own_seeds,
        metric=metric,
        options=options,
        toy_data=read_toy_data(content.get('toy_data')),
        runs=runs,
    )


def _find(suite: str) -> Path:
    path = Path(suite)
    if path.is_file():
        return path.resolve()
    shipped = f'suites/{suite}.py'
    try:
        return Path(config_path(shipped))
    except FileNotFoundError:
        known = ', '.join(sorted(file.stem for file in _SUITES.glob('*.py'))) or 'none'
        raise SuiteError(
            f'there is no suite {suite!r}, neither a file nor a shipped one ({known})'
        ) from None


def _run(name: str, of: Any, seeds: tuple[int, ...], folder: Path, options: dict) -> Run:
    where = f'run {name!r}'
    if not re.fullmatch(r'\w[\w.+-]*', str(name)):
        raise SuiteError(
            f'{where}: a run becomes a folder: its name is made of letters, digits, _ . + -'
        )
    if not isinstance(of, dict):
        _wrong(where, "a dict such as dict(config='small/demo/student.py')", of)
    _known(of, _RUN_KEYS, where)
    if 'config' not in of:
        raise SuiteError(f'{where} needs a config')
    own = of.get('seeds')
    paper, note, group = of.get('paper'), of.get('note'), of.get('group')
    if paper is not None and (isinstance(paper, bool) or not isinstance(paper, (int, float))):
        _wrong(f'{where}: paper', 'a number or None', paper)
    run = Run(
        name=name,
        config=_config(of['config'], where, folder),
        label=_text(of.get('label', name), f'{where}: label'),
        seeds=seeds if own is None else _seeds(own, f'{where}: seeds'),
        teacher=of.get('teacher'),
        start=of.get('start'),
        paper=paper,
        note=None if note is None else _text(note, f'{where}: note'),
        options=read_options(of.get('options', {}), f'{where}: options'),
        baseline=of.get('baseline'),
        group=None if group is None else _text(group, f'{where}: group'),
    )
    if run.teacher is not None and 'model.teacher_ckpt' in {**options, **run.options}:
        raise SuiteError(f'{where} has a teacher and the option model.teacher_ckpt: one of the two')
    return run


def _config(config: Any, where: str, folder: Path) -> Path:
    """A config's file: beside the suite, else among the shipped ones."""
    beside = folder / _text(config, f'{where}: config')
    if beside.is_file():
        return beside.resolve()
    try:
        return Path(config_path(config))
    except FileNotFoundError:
        raise SuiteError(
            f'{where}: there is no config {config!r}, neither in {folder} nor in configs/'
        ) from None


def _check_relations(runs: dict[str, Run]) -> None:
    for run in runs.values():
        for role in ('teacher', 'start', 'baseline'):
            other = getattr(run, role)
            _is_run(other, f'run {run.name!r}: {role}', runs)
            if other == run.name:
                raise SuiteError(f'run {run.name!r}: {role} is the run itself')
    for role in ('teacher', 'start'):
        for name in runs:
            chain = [name]
            while (following := getattr(runs[chain[-1]], role)) is not None:
                if following in chain:
                    circle = ' -> '.join([*chain[chain.index(following) :], following])
                    raise SuiteError(
                        f'runs in a circle, each the {role} of its forerunner: {circle}'
                    )
                chain.append(following)
    for run in runs.values():
        if run.teacher is None:
            continue
        seeds = runs[run.teacher].seeds
        missing = sorted(set(run.seeds) - set(seeds))
        if len(seeds) > 1 and missing:
            raise SuiteError(
                f'run {run.name!r} has seeds {list(run.seeds)} and its teacher {run.teacher!r} '
                f'{list(seeds)}: a teacher has a single seed, or all of them'
            )


def _is_run(name: Any, where: str, runs: dict[str, Run]) -> None:
    if name is None:
        return
    _text(name, where)
    if name not in runs:
        raise SuiteError(f'{where}: there is no run {name!r}{nearest(name, runs)}')


def _known(content: dict, known: Sequence[str], where: str) -> None:
    for key in content:
        if key not in known:
            raise SuiteError(f'{where} has no key {key!r}{nearest(key, known)}')


def _wrong(where: str, fits: str, given: Any) -> NoReturn:
    raise SuiteError(f'{where} must be {fits}, got {given!r}')


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        _wrong(where, 'a text', value)
    return value


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    fits = (
        isinstance(value, (tuple, list))
        and value
        and all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in value)
        and len(set(value)) == len(value)
    )
    if not fits:
        _wrong(where, 'different integers of at least 0, such as (0, 1, 2)', value)
    return tuple(value)
