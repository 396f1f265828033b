"""From a suite to its trainings: configs with all options, and networks that must fit."""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...utils.batch import Batch
from ...utils.config_options import apply_options
from ...utils.configs import is_recipe, model_of, read_config_file
from .definition import Run, Suite
from .jobs import Job, Key, digest, fits
from .networks import Shapes, Start, network_shapes
from .options import SuiteError, as_arguments, flatten, nearest

TOY_FOLDER = 'data'
# A run resumes from its last checkpoint. mmengine deletes an old one before it writes the new one:
# with a single one a run that is killed in between would be lost. A finished run keeps one.
_CHECKPOINTS = dict(rule='greater', save_last=True, max_keep_ckpts=2)


class Plan:
    """The jobs of a suite under one folder; a config is read when a job of it is asked for.

    Args:
        suite: what to run.
        out: the folder.
        options: of the call, over those of the suite and of its runs.
        processes: of each run.

    Raises:
        SuiteError: a folder that cannot be handed over on a command line.
    """

    def __init__(
        self, suite: Suite, out: Path, options: Optional[dict[str, Any]] = None, processes: int = 1
    ) -> None:
        self.suite, self.out, self.processes = suite, out.resolve(), processes
        self.call_options = options or {}
        self.makes_toy_data = suite.toy_data is not None and 'data_root' not in self.call_options
        as_arguments({'out': str(self.out)}, 'the folder of the suite')
        self._networks: dict[str, Optional[Shapes]] = {}
        self._configs: dict[str, tuple[Config, dict[str, Any]]] = {}

    def jobs(self, only: Optional[Sequence[str]] = None) -> list[Job]:
        """What is to be run, in order: a seed of every run before the next seed.

        A suite that is ended early has then compared all runs with the seeds it got to.

        Args:
            only: names of runs, or shell patterns of such; the teachers that they need are added.
                None: all.

        Raises:
            SuiteError: a name or a pattern that is no run's; a config that does not load with its
                options, a learning rate that is to be scaled from an unknown batch, or networks
                that do not fit: the teacher's, or the one whose initial weights are to be shared.
        """
        runs = self.suite.runs
        for pattern in only or ():
            if not any(fits(name, [pattern]) for name in runs):
                raise SuiteError(f'--only: there is no run {pattern!r}{nearest(pattern, runs)}')
        chosen = {name for name in runs if fits(name, only)}
        for name in list(chosen):
            while (name := runs[name].teacher) is not None:
                chosen.add(name)
        for run in runs.values():
            if run.name in chosen:
                self._check(run)
        return [
            self.job(name, run.seeds[number])
            for number in range(max(len(run.seeds) for run in runs.values()))
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
        cfg, options = self._resolve(name)
        checkpoints = dict(_CHECKPOINTS, save_best=suite.metric)
        fixed = {f'default_hooks.checkpoint.{key}': of for key, of in checkpoints.items()}
        fixed['randomness.seed'] = seed
        train_cfg = cfg.get('train_cfg') or {}
        logger = (cfg.get('default_hooks') or {}).get('logger') or {}
        # Else mmengine gives all validations of a run by iterations the number 0, of its epoch.
        if 'max_epochs' not in train_cfg and logger.get('log_metric_by_epoch', True):
            fixed['default_hooks.logger.log_metric_by_epoch'] = False
        # Where things lie is no part of the settings: the folder may be moved.
        places: dict[str, Any] = {}
        settings = flatten(cfg.to_dict(), into_lists=True)
        settings.update({**fixed, 'suite.processes': self.processes})
        if self.makes_toy_data and 'data_root' not in options:
            places['data_root'] = str(self.out / TOY_FOLDER)
            settings['suite.toy_data'] = suite.toy_data
        start, teacher = self._start(run, seed), suite.teacher_of(run, seed)
        if start is not None:
            network = 'model.architecture' if is_recipe(cfg) else 'model'
            if 'init_cfg' in model_of(cfg):
                places[f'{network}.init_cfg._delete_'] = True
            places[f'{network}.init_cfg.type'] = 'Pretrained'
            places[f'{network}.init_cfg.checkpoint'] = str(start.path)
            settings['suite.start'] = f'{suite.start_of(run)}, {start.digest}'
        if teacher is not None:
            teacher = Key(*teacher)
            settings['suite.teacher'] = f'{teacher}, {self.job(*teacher).fingerprint}'
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
            shapes=functools.partial(self._shapes, model_of(cfg), cfg),
            batch=Batch.of(cfg, self.processes),
        )

    def _resolve(self, name: str) -> tuple[Config, dict[str, Any]]:
        """A run's config with its options, and these."""
        if name in self._configs:
            return self._configs[name]
        run = self.suite.runs[name]
        options = {**self.suite.options, **run.options, **self.call_options}
        try:
            cfg = copy.deepcopy(read_config(run.config, run.config.stat().st_mtime_ns))
            apply_options(cfg, options)
        except ValueError as error:
            raise SuiteError(f'run {run.name!r}: {error}') from error
        if 'model' not in cfg:
            raise SuiteError(f'run {run.name!r}: {run.config} has no model')
        self._configs[name] = cfg, options
        return cfg, options

    def _check(self, run: Run) -> None:
        cfg = self._resolve(run.name)[0]
        settings = cfg.get('auto_scale_lr') or {}
        if settings.get('enable') and 'base_batch_size' not in settings:
            raise SuiteError(
                f'run {run.name!r}: auto_scale_lr.enable (--auto-scale-lr), but {run.config} has '
                'no auto_scale_lr.base_batch_size, the batch that its learning rate is meant for'
            )
        self._check_teacher(run)
        if run.start is not None:
            shapes = (self._shapes(model_of(of), of) for of in (cfg, self._resolve(run.start)[0]))
            why = f'is to start from the weights of run {run.start!r}, which trains another network'
            self._check_same(run, *shapes, why)

    def _check_teacher(self, run: Run) -> None:
        cfg, other = self._resolve(run.name)[0], self._resolve(run.teacher or run.name)[0]
        own, what = cfg.model.get('teacher'), None
        if run.teacher is None:
            if own is not None and cfg.model.get('teacher_ckpt') is None:
                what = (
                    f': {run.config} has a teacher without weights: name the run that trains it '
                    '(teacher=...) or set model.teacher_ckpt in its options'
                )
        elif own is None:
            what = f' has the teacher {run.teacher!r}, but {run.config} has no model.teacher'
        elif 'architecture' in other.model and 'teacher' in other.model:
            what = (
                f': its teacher {run.teacher!r} is itself a distillation, whose checkpoint holds '
                'two networks: name a plain network'
            )
        else:
            shapes = self._shapes(own, cfg), self._shapes(model_of(other), other)
            text = f'has a model.teacher that is not the network that run {run.teacher!r} trains'
            self._check_same(run, *shapes, text)
        if what:
            raise SuiteError(f'run {run.name!r}{what}')

    @staticmethod
    def _check_same(run: Run, own: Optional[Shapes], other: Optional[Shapes], what: str) -> None:
        if own is None or other is None:  # the run itself will tell why it cannot be built
            return
        for key in sorted({*own.of, *other.of}):
            sizes = [str(tuple(of[key])) if key in of else 'none' for of in (own.of, other.of)]
            if sizes[0] != sizes[1]:
                where = f'{key} is {sizes[0]} here and {sizes[1]} there'
                raise SuiteError(f'run {run.name!r} {what}: {where}')

    def _start(self, run: Run, seed: int) -> Optional[Start]:
        name = self.suite.start_of(run)
        if name is None:
            return None
        cfg = self._resolve(name)[0]
        of_network = digest(model_of(cfg).to_dict())
        return Start(cfg, of_network, seed, self.out / 'starts' / f'{name}_seed{seed}.pth')

    def _shapes(self, network: dict, cfg: Config) -> Optional[Shapes]:
        """What a network is made of; None where it cannot be built without its data."""
        scope = cfg.get('default_scope') or 'mmengine'
        text = f'{scope} {network}'
        if text not in self._networks:
            self._networks[text] = network_shapes(network, scope)
        return self._networks[text]


@functools.cache
def read_config(path: Path, changed: int) -> Config:
    """A config's file; mmengine takes a second for one with bases of mmseg."""
    return read_config_file(path)
