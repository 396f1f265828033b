"""One warning about all runs of a suite whose learning rate is not meant for their batch."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from ...utils.batch import Batch
from ...utils.config_options import apply_options
from ...utils.configs import is_recipe, model_of
from .choice import batch_warning, choose_runs
from .definition import Run, Suite
from .jobs import Job, Key, digest, logged_by_iterations, read_config
from .networks import Shapes, Start, network_shapes
from .options import SuiteError, as_arguments, flatten

TOY_FOLDER = 'data'


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
            **logged_by_iterations(cfg),
        }
        places = {}
        uses_toy_data = self.makes_toy_data and 'data_root' not in options
        if uses_toy_data:
            places['data_root'] = str(self.out / TOY_FOLDER)
        start = self._start(run, seed)
        if start is not None:
            network = 'model.architecture' if is_recipe(cfg) else 'model'
            if 'init_cfg' in model_of(cfg):
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
        shapes = self._shapes(model_of(cfg), cfg)
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
            cfg = copy.deepcopy(read_config(run.config, run.config.stat().st_mtime_ns))
            apply_options(cfg, options)
        except ValueError as error:
            raise SuiteError(f'run {run.name!r}: {error}') from error
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
            self._shapes(model_of(other), other),
            f'run {run.name!r}: its model.teacher is not the network that run {run.teacher!r} '
            'trains',
        )

    def _check_start(self, run: Run) -> None:
        if run.start is None:
            return
        cfg, _ = self._configs[run.name]
        other, _ = self._configs[run.start]
        self._check_same(
            self._shapes(model_of(cfg), cfg),
            self._shapes(model_of(other), other),
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
        of_network = digest(model_of(cfg).to_dict())
        return Start(cfg, of_network, seed, self.out / 'starts' / f'{name}_seed{seed}.pth')

    def _shapes(self, network: dict, cfg: Config) -> Optional[Shapes]:
        """What a network is made of; None where it cannot be built without its data."""
        scope = cfg.get('default_scope') or 'mmengine'
        text = f'{scope} {network}'
        if text not in self._networks:
            self._networks[text] = network_shapes(network, scope)
        return self._networks[text]
