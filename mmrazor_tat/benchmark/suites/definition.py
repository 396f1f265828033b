"""What a suite asks for: its file is read and checked as a whole before anything runs."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...utils.configs import config_path
from .options import SuiteError, nearest, read_options
from .toy_data import read_toy_data

_SUITES = Path(__file__).parents[2] / '.mim' / 'configs' / 'suites'
_TEXT, _SEEDS = 'a text', 'different integers of at least 0, such as (0, 1, 2)'
# What fits each key; the options and the data have readers of their own.
_SUITE_KEYS = dict(
    title=_TEXT,
    metric=_TEXT,
    seeds=_SEEDS,
    runs='a dict with at least one run',
    baseline=_TEXT,
    options=None,
    toy_data=None,
)
_RUN_KEYS = dict(
    config=_TEXT,
    label=_TEXT,
    group=_TEXT,
    seeds=_SEEDS,
    teacher=_TEXT,
    start=_TEXT,
    baseline=_TEXT,
    paper='a number or None',
    note=_TEXT,
    options=None,
)


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
    path = Path(suite).resolve()
    if not path.is_file():
        try:
            path = Path(config_path(f'suites/{suite}.py'))
        except FileNotFoundError:
            near = nearest(suite, sorted(file.stem for file in _SUITES.glob('*.py')))
            text = f'there is no suite {suite!r}, no file and none of ours{near}'
            raise SuiteError(text) from None
    try:
        content = Config.fromfile(path).to_dict()
    except Exception as error:  # whatever a Python file can raise
        raise SuiteError(f'suite {path} cannot be read: {type(error).__name__}: {error}') from error
    _check(content, _SUITE_KEYS, 'a suite', '')
    for key in ('title', 'metric', 'runs', 'seeds'):
        if key not in content:
            raise SuiteError(f'a suite needs {key!r}, which {path} lacks')
    if seeds is not None:
        _check(dict(seeds=seeds), _SUITE_KEYS, '', '--')
    options = read_options(content.get('options', {}), 'options')
    of_suite = dict(seeds=tuple(content['seeds'] if seeds is None else seeds))
    of_suite.update(baseline=content.get('baseline'))
    runs = {
        name: _run(name, of, of_suite, path.parent, options) for name, of in content['runs'].items()
    }
    _is_run(of_suite['baseline'], 'baseline', runs)
    _check_relations(runs)
    return Suite(
        name=path.stem,
        path=path,
        title=content['title'],
        seeds=of_suite['seeds'],
        metric=content['metric'],
        options=options,
        toy_data=read_toy_data(content.get('toy_data')),
        runs=runs,
    )


def _run(name: str, of: Any, of_suite: dict, folder: Path, suite_options: dict) -> Run:
    where = f'run {name!r}'
    if not re.fullmatch(r'\w[\w.+-]*', str(name)):
        raise SuiteError(
            f'{where}: a run becomes a folder: its name is made of letters, digits, _ . + -'
        )
    if not isinstance(of, dict):
        fits = "a dict such as dict(config='small/demo/student.py')"
        raise SuiteError(f'{where} must be {fits}, got {of!r}')
    _check(of, _RUN_KEYS, where, f'{where}: ')
    if 'config' not in of:
        raise SuiteError(f'{where} needs a config')
    options = read_options(of.get('options', {}), f'{where}: options')
    if of.get('teacher') is not None and 'model.teacher_ckpt' in {**suite_options, **options}:
        raise SuiteError(f'{where} has a teacher and the option model.teacher_ckpt: one of the two')
    own = {'label': name, **of_suite, **{k: v for k, v in of.items() if v is not None}}
    baseline = of['baseline'] if 'baseline' in of else of_suite['baseline']
    return Run(
        name=name,
        config=_config(of['config'], where, folder),
        label=own['label'],
        seeds=tuple(own['seeds']),
        options=options,
        baseline=None if baseline == name else baseline,
        **{key: of.get(key) for key in ('teacher', 'start', 'paper', 'note', 'group')},
    )


def _config(config: str, where: str, folder: Path) -> Path:
    """A config's file: beside the suite, else among the shipped ones."""
    if (folder / config).is_file():
        return (folder / config).resolve()
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
    for role, name in itertools.product(('teacher', 'start'), runs):
        chain = [name]
        while (following := getattr(runs[chain[-1]], role)) is not None:
            if following in chain:
                circle = ' -> '.join([*chain[chain.index(following) :], following])
                raise SuiteError(f'runs in a circle, each the {role} of its forerunner: {circle}')
            chain.append(following)
    for run in runs.values():
        seeds = runs[run.teacher].seeds if run.teacher else ()
        if len(seeds) > 1 and set(run.seeds) - set(seeds):
            raise SuiteError(
                f'run {run.name!r} has seeds {list(run.seeds)} and its teacher {run.teacher!r} '
                f'{list(seeds)}: a teacher has a single seed, or all of them'
            )


def _is_run(name: Optional[str], where: str, runs: dict[str, Run]) -> None:
    if name is not None and name not in runs:
        raise SuiteError(f'{where}: there is no run {name!r}{nearest(name, runs)}')


def _check(content: dict, keys: dict[str, Optional[str]], owner: str, where: str) -> None:
    for key, value in content.items():
        if key not in keys:
            raise SuiteError(f'{owner} has no key {key!r}{nearest(key, keys)}')
        if value is not None and not _fits(value, keys[key]):
            raise SuiteError(f'{where}{key} must be {keys[key]}, got {value!r}')


def _fits(value: Any, what: Optional[str]) -> bool:
    if what == _TEXT:
        return isinstance(value, str) and bool(value)
    if what == _SEEDS:
        seeds = value if isinstance(value, (tuple, list)) else ()
        are_counts = all(type(seed) is int and seed >= 0 for seed in seeds)
        return bool(seeds) and are_counts and len(set(seeds)) == len(seeds)
    if what == _RUN_KEYS['paper']:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return what != _SUITE_KEYS['runs'] or isinstance(value, dict) and bool(value)
