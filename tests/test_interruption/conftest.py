"""Runs of the small recipes that nothing interrupts."""

import pytest
import torch
from interrupted_recipes import RECIPES, settings_of_all
from interrupted_run import output, start
from mmengine import Config

from mmrazor_tat import config_path


@pytest.fixture(scope='session')
def recipe(toy_voc, tmp_path_factory):
    """A function that gives (config file, settings) of a recipe by name, for a work dir."""
    from mmseg.registry import MODELS

    folder = tmp_path_factory.mktemp('recipes')

    def of(name: str, work_dir) -> tuple[str, dict]:
        config, own = RECIPES[name]
        file = folder / f'{list(RECIPES).index(name)}.py'
        teacher = folder / 'teacher.pth'
        if not file.exists():
            cfg = Config.fromfile(config_path(config))
            if not teacher.exists():
                torch.manual_seed(1)
                torch.save(MODELS.build(cfg.model.teacher).state_dict(), teacher)
            cfg.merge_from_dict({**settings_of_all(toy_voc, teacher), **own})
            cfg.dump(file)
        return str(file), dict(work_dir=str(work_dir))

    return of


@pytest.fixture(scope='session')
def uninterrupted(recipe, tmp_path_factory):
    """A function that gives the work dir of a recipe's whole run."""
    done = {}

    def of(name: str):
        if name not in done:
            work_dir = tmp_path_factory.mktemp('whole') / 'run'
            assert start(*recipe(name, work_dir)) == 0, output(work_dir)
            done[name] = work_dir
        return done[name]

    return of
