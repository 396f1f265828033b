"""One warning about all runs of a suite whose learning rate is not meant for their batch."""

import copy
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Optional

from mmengine import Config

from ...utils.batch import Batch
from ...utils.config_options import apply_options
from ...utils.config_settings import student_config
from ...utils.configs import MissingPackageError, is_recipe, read_config_file
from .definition import Run, Suite
from .networks import Shapes, Start, network_shapes
from .options import SuiteError, as_arguments, flatten, nearest

TOY_FOLDER = 'data'


class Key(NamedTuple):
    """Which job: a run and a seed."""

    run: str
    seed: int

    def __str__(self) -> str:
        return f'{self.run} seed {self.seed}'


@dataclass(frozen=True)
class Job:
    """One training."""

    key: Key
    run: Run
    folder: Path
    options: dict[str, Any]  # for --cfg-options; the teacher's checkpoint is added at its start
    settings: dict[str, str]  # all that decides about its result, by name
    teacher: Optional[Key]
    start: Optional[Start]
    unit: str  # 'iter' or 'epoch': what its length, its validations and checkpoints count
    total: Optional[int]
    val_interval: Optional[int]
    parameters: Optional[int]  # of the network that is trained
    batch: Optional[Batch] = None  # None where the config does not tell

    @property
    def fingerprint(self) -> str:
        return _digest(self.settings)


class Plan:
    """The jobs of a suite under one folder.

    Args:
        suite: what to run.
        out: the folder.
        options: of the call, over those of the suite and of its runs.
        processes: of each run.

    Raises:
        SuiteError: a config that does not load with its options, a learning rate that is to be
            scaled from an unknown batch, or networks that do not fit: the teacher's, or the one
            whose initial weights are to be shared.
    """

    def __init__(
        self,
        suite: Suite,
        out: Path,
        options: Optional[dict[str, Any]] = None,
        processes: int = 1,
    ) -> None:
        self.suite, self.out, self.processes = suite, out.resolve(), processes
        self.call_options = options or {}
        self.makes_toy_data = suite.toy_data is not None and 'data_root' not in self.call_options
        as_arguments({'out': str(self.out)}, 'the folder of the suite')
        self._networks: dict[str, Optional[Shapes]] = {}
        self._configs = {run.name: self._resolve(run) for run in suite.runs.values()}
        for run in suite.runs.values():
            self._check_scaling(run)
            self._check_teacher(run)
            self._check_start(run)

    def jobs(self, only: Optional[Sequence[str]] = None) -> list[Job]:
        """What is to be run, in order: a seed of every run before the next seed.

        A suite that is ended early has then compared all runs with the seeds it got to.

        Args:
            only: names of runs, or shell patterns of such; the teachers that they need are added.
                None: all.

        Raises:
            SuiteError: a name or a pattern that is no run's.
        """
        runs = self.suite.runs
        chosen = set(runs if only is None else choose_runs(runs, only))
        for name in list(chosen):
            while (name := runs[name].teacher) is not None:
                chosen.add(name)
        rounds = max(len(run.seeds) for run in runs.values())
        return [
            self.job(name, run.seeds[number])
            for number in range(rounds)
            for name, run in runs.items()
            if name in chosen and number < len(run.seeds)
        ]

    def jobs_for_report(self) -> list[Job]:
        """All runs and seeds of the suite, and the other seeds that lie in its folder."""
        found = []
        for run in self.suite.runs.values():
            folders = (self.out / 'runs' / run.name).glob('seed*/run.json')
            numbers = (path.parent.name.removeprefix('seed') for path in folders)
            seeds = {*run.seeds, *(int(number) for number in numbers if number.isdigit())}
            found += [self.job(run.name, seed) for seed in sorted(seeds)]
        return found

    def job(self, name: str, seed: int) -> Job:
        suite, run = self.suite, self.suite.runs[name]
        cfg, options = self._configs[name]
        fixed = {
            'randomness.seed': seed,
            'default_hooks.checkpoint.save_best': suite.metric,
            'default_hooks.checkpoint.rule': 'greater',
            'default_hooks.checkpoint.save_last': True,
            # mmengine deletes an old checkpoint before it writes the new one: with a single one a
            # run that is killed in between would be lost. A finished run keeps one.
            'default_hooks.checkpoint.max_keep_ckpts': 2,
            **_logged_by_iterations(cfg),
        }
        places = {}
        uses_toy_data = self.makes_toy_data and 'data_root' not in options
        if uses_toy_data:
            places['data_root'] = str(self.out / TOY_FOLDER)
        start = self._start(run, seed)
        if start is not None:
            network = 'model.architecture' if is_recipe(cfg) else 'model'
            if 'init_cfg' in student_config(cfg):
                places[f'{network}.init_cfg._delete_'] = True
            places[f'{network}.init_cfg.type'] = 'Pretrained'
            places[f'{network}.init_cfg.checkpoint'] = str(start.path)
        teacher = suite.teacher_of(run, seed)
        teacher = None if teacher is None else Key(*teacher)
        # Where things lie is no part of the settings: the folder may be moved.
        settings = flatten(cfg.to_dict(), into_lists=True)
        settings.update(fixed)
        settings['suite.processes'] = self.processes
        if uses_toy_data:
            settings['suite.toy_data'] = suite.toy_data
        if teacher is not None:
            settings['suite.teacher'] = f'{teacher}, {self.job(*teacher).fingerprint}'
        if start is not None:
            settings['suite.start'] = f'{suite.start_of(run)}, {start.digest}'
        shapes = self._shapes(student_config(cfg), cfg)
        train_cfg = cfg.get('train_cfg') or {}
        unit = 'epoch' if 'max_epochs' in train_cfg else 'iter'
        return Job(
            key=Key(name, seed),
            run=run,
            folder=self.out / 'runs' / name / f'seed{seed}',
            options={**options, **fixed, **places},
            settings={key: repr(value) for key, value in settings.items()},
            teacher=teacher,
            start=start,
            unit=unit,
            total=train_cfg.get(f'max_{unit}s'),
            val_interval=train_cfg.get('val_interval'),
            parameters=None if shapes is None else shapes.parameters,
            batch=Batch.of(cfg, self.processes),
        )

    @staticmethod
    def batch_warning(jobs: Sequence[Job]) -> Optional[str]:
        """About the jobs whose learning rate is meant for another batch; None: there is none."""
        return batch_warning({job.key.run: job.batch for job in jobs})

    def _resolve(self, run: Run) -> tuple[Config, dict[str, Any]]:
        """A run's config with its options, and these."""
        options = {**self.suite.options, **run.options, **self.call_options}
        try:
            cfg = copy.deepcopy(_read_config(run.config, run.config.stat().st_mtime_ns))
            apply_options(cfg, options)
        except MissingPackageError as error:
            raise SuiteError(f'run {run.name!r}: {error}') from error
        except Exception as error:  # whatever a Python file can raise
            raise SuiteError(
                f'run {run.name!r}: {run.config} does not load with its options: '
                f'{type(error).__name__}: {error}'
            ) from error
        if 'model' not in cfg:
            raise SuiteError(f'run {run.name!r}: {run.config} has no model')
        return cfg, options

    def _check_scaling(self, run: Run) -> None:
        cfg, _ = self._configs[run.name]
        settings = cfg.get('auto_scale_lr') or {}
        if settings.get('enable') and 'base_batch_size' not in settings:
            raise SuiteError(
                f'run {run.name!r}: auto_scale_lr.enable (--auto-scale-lr), but {run.config} has '
                'no auto_scale_lr.base_batch_size, the batch that its learning rate is meant for'
            )

    def _check_teacher(self, run: Run) -> None:
        cfg, _ = self._configs[run.name]
        own = cfg.model.get('teacher')
        if run.teacher is None:
            if own is not None and cfg.model.get('teacher_ckpt') is None:
                raise SuiteError(
                    f'run {run.name!r}: {run.config} has a teacher without weights: name the run '
                    'that trains it (teacher=...) or set model.teacher_ckpt in its options'
                )
            return
        if own is None:
            raise SuiteError(
                f'run {run.name!r} has the teacher {run.teacher!r}, but {run.config} has no '
                'model.teacher'
            )
        other, _ = self._configs[run.teacher]
        if 'architecture' in other.model and 'teacher' in other.model:
            raise SuiteError(
                f'run {run.name!r}: its teacher {run.teacher!r} is itself a distillation, whose '
                'checkpoint holds two networks: name a plain network'
            )
        self._check_same(
            self._shapes(own, cfg),
            self._shapes(student_config(other), other),
            f'run {run.name!r}: its model.teacher is not the network that run {run.teacher!r} '
            'trains',
        )

    def _check_start(self, run: Run) -> None:
        if run.start is None:
            return
        cfg, _ = self._configs[run.name]
        other, _ = self._configs[run.start]
        self._check_same(
            self._shapes(student_config(cfg), cfg),
            self._shapes(student_config(other), other),
            f'run {run.name!r} is to start from the weights of run {run.start!r}, which trains '
            'another network',
        )

    @staticmethod
    def _check_same(own: Optional[Shapes], other: Optional[Shapes], what: str) -> None:
        if own is None or other is None:  # the run itself will tell why it cannot be built
            return
        for key in sorted({*own.of, *other.of}):
            sizes = [str(tuple(of[key])) if key in of else 'none' for of in (own.of, other.of)]
            if sizes[0] != sizes[1]:
                raise SuiteError(f'{what}: {key} is {sizes[0]} here and {sizes[1]} there')

    def _start(self, run: Run, seed: int) -> Optional[Start]:
        name = self.suite.start_of(run)
        if name is None:
            return None
        cfg, _ = self._configs[name]
        digest = _digest(student_config(cfg).to_dict())
        return Start(cfg, digest, seed, self.out / 'starts' / f'{name}_seed{seed}.pth')

    def _shapes(self, network: dict, cfg: Config) -> Optional[Shapes]:
        """What a network is made of; None where it cannot be built without its data."""
        scope = cfg.get('default_scope') or 'mmengine'
        text = f'{scope} {network}'
        if text not in self._networks:
            self._networks[text] = network_shapes(network, scope)
        return self._networks[text]


def _logged_by_iterations(cfg: Config) -> dict[str, Any]:
    """What a run by iterations needs so that its validations are told apart.

    mmengine numbers them by epochs unless it is told otherwise, as mmseg's configs do: in a run by
    iterations all of them then have number 0.
    """
    logger = (cfg.get('default_hooks') or {}).get('logger') or {}
    by_epoch = 'max_epochs' in (cfg.get('train_cfg') or {})
    if by_epoch or not logger.get('log_metric_by_epoch', True):
        return {}
    return {'default_hooks.logger.log_metric_by_epoch': False}


@functools.cache
def _read_config(path: Path, changed: int) -> Config:
    """A config's file; mmengine takes a second for one with bases of mmseg."""
    return read_config_file(path)


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def choose_runs(runs: Iterable[str], only: Sequence[str]) -> list[str]:
    """Names of runs by name or by shell pattern, such as ``resnet56-*``.

    Args:
        runs: all names; none holds a character of patterns.
        only: what is asked for.

    Returns:
        Those that fit, in the order of ``runs``.

    Raises:
        SuiteError: a name or a pattern that is no run's.
    """
    runs = list(runs)
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in runs):
            raise SuiteError(f'--only: there is no run {pattern!r}{nearest(pattern, runs)}')
    return [name for name in runs if any(fnmatchcase(name, pattern) for pattern in only)]


_NAMED_RUNS = 3
_LAUNCH = '--launcher pytorch --processes {}'


def batch_warning(batches: dict[str, Optional[Batch]]) -> Optional[str]:
    """One text about all runs whose learning rate is not meant for their batch.

    Args:
        batches: by run; None: not known.

    Returns:
        A line for each kind of batch; None where all fit.
    """
    groups: dict[Batch, list[str]] = {}
    for name, batch in batches.items():
        if batch is not None and not batch.fits:
            groups.setdefault(batch, []).append(name)
    lines = [
        f'warning: {_runs(names, len(batches))} {batch.complaint(_LAUNCH)}'
        for batch, names in groups.items()
    ]
    return '\n'.join(lines) or None


def _runs(names: Sequence[str], count: int) -> str:
    if len(names) == count > 1:
        return f'all {count} runs train with'
    more = len(names) - _NAMED_RUNS
    named = ', '.join(names[:_NAMED_RUNS]) + (f' and {more} more' if more > 0 else '')
    return f'{named} train{"s" * (len(names) == 1)} with'
