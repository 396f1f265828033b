"""A run that must survive, and a small recipe to spoil."""

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import runner as runner_module
from run_tool import run_tool

import mmrazor_tat
from mmrazor_tat.utils import environment


class World(NamedTuple):
    """What the cases spoil a copy of."""

    repo: Path
    recipe: Path  # a flat config of TaT, two iterations
    plain: Path  # of its student alone
    teacher: Path  # a checkpoint that fits
    data: Path
    run: Path  # the work dir of a finished run of `plain`

    @property
    def checkpoint(self) -> Path:
        return self.run / 'iter_2.pth'

    def copy_data(self, to: Path) -> Path:
        return Path(shutil.copytree(self.data, to))


def digest(folder: Path) -> dict[str, str]:
    """What must not change in the folder of a run: checkpoints, their pointer, logs, pictures."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and (path.suffix == '.pth' or path.name == 'last_checkpoint')
    }


@pytest.fixture(scope='module')
def world(repo, toy_voc, tmp_path_factory) -> World:
    with pytest.MonkeyPatch.context() as patch:
        # Seconds of asking compilers for their versions, in each run.
        patch.setattr(runner_module, 'collect_env', dict)
        # So that launchers are asked for what they need.
        patch.setattr(environment, 'get_device', lambda: 'cuda')
        folder = tmp_path_factory.mktemp('world')
        recipe = Config.fromfile(mmrazor_tat.config_path('small/demo/tat_student.py'))
        recipe.merge_from_dict({'work_dir': str(folder / 'run'), 'crop_size': (48, 48)})
        for name in ('train', 'val', 'test'):
            loader = recipe[f'{name}_dataloader']
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.data_root = str(toy_voc)
        recipe.train_dataloader.batch_size = 2
        recipe.train_cfg.update(max_iters=2, val_interval=2)
        recipe.default_hooks.checkpoint.update(interval=2)
        recipe.default_hooks.logger.update(interval=1)
        mmrazor_tat.engine.set_crop_size(recipe, (48, 48))
        init_default_scope('mmseg')
        torch.manual_seed(1)
        teacher = MODELS.build(recipe.model.teacher)
        torch.save(dict(state_dict=teacher.state_dict(), meta={}), folder / 'teacher.pth')
        plain = Config(recipe.to_dict())
        plain.model = recipe.model.architecture
        recipe.model.teacher_ckpt = str(folder / 'teacher.pth')
        recipe.dump(folder / 'recipe.py')
        plain.dump(folder / 'plain.py')
        made = World(
            repo,
            folder / 'recipe.py',
            folder / 'plain.py',
            folder / 'teacher.pth',
            toy_voc,
            folder / 'run',
        )
        ended = run_tool(repo, 'train', made.plain)
        assert ended.code is None, ended.line
        assert made.checkpoint.exists()
        yield made


@pytest.fixture
def refuses(world, tmp_path):
    """A function that runs a tool, and asserts how a bad input must end; gives the line."""

    def refuses(tool: str, arguments: list, fragments) -> str:
        before = digest(world.run)
        ended = run_tool(world.repo, tool, *arguments)
        line = ended.line
        assert ended.code not in (None, 0), f'was accepted; printed {ended.printed[-2000:]}'
        assert line and '\n' not in line and len(line) < 900, line
        assert line.count('; nearest: ') < 2
        for fragment in fragments:
            assert fragment in line, line
        assert 'Traceback' not in ended.printed
        assert digest(world.run) == before
        assert not list(world.run.glob('*.tmp')) and not (tmp_path / 'code_ran').exists()
        return line

    return refuses
