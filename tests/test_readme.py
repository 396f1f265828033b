"""The README's text is run, not trusted."""

import re
import shutil

import pytest
from mmengine import Config
from mmengine.registry import MODELS

SECTION = 'Distil your own pair'


@pytest.fixture(scope='module')
def readme(repo) -> str:
    return (repo / 'README.md').read_text()


@pytest.fixture(scope='module')
def recipe(readme) -> str:
    """The recipe that the README shows, to the letter."""
    return next(block for block in python_blocks(readme) if 'FrozenTeacherDistill' in block)


def python_blocks(readme) -> list[str]:
    section = readme.split(f'## {SECTION}')[1].split('\n## ')[0]
    return re.findall(r'```python\n(.*?)```', section, re.S)


def test_the_recipe_has_at_most_ten_lines(recipe):
    assert 5 <= len([line for line in recipe.splitlines() if line.strip()]) <= 10


@pytest.fixture
def own_pair(repo, demo_teacher, recipe, tmp_path):
    """A user's folder: a student config, a teacher config, its weights and the recipe."""
    for name in ('student', 'teacher'):
        source = repo / f'configs/demo/{name}.py'
        (tmp_path / f'my_{name}.py').write_text(f"_base_ = '{source}'\n")
    shutil.copy(demo_teacher, tmp_path / 'my_teacher.pth')
    (tmp_path / 'my_recipe.py').write_text(recipe)
    return tmp_path


# The demo's map is 12 x 12 at a crop of 48: the README's grid is for larger ones.
FIT = [
    'model.distiller.distill_losses.loss_tat.views.0.grid=(4,4)',
    'model.distiller.distill_losses.loss_tat.views.0.groups=4',
]


def test_the_recipe_trains(repo, own_pair, command, toy_options):
    # From another folder, and with a student that inherits one of ours as an installed config.
    (own_pair / 'my_student.py').write_text("_base_ = 'mmrazor_tat::demo/student.py'\n")
    elsewhere = own_pair / 'elsewhere'
    elsewhere.mkdir()
    options = ['--cfg-options', *toy_options, *FIT]
    log = command(repo / 'tools/train.py', own_pair / 'my_recipe.py', *options, cwd=elsewhere)
    assert 'distill.loss_tat' in log and 'mIoU' in log
    assert 'Failed to' not in log  # mmengine's word for a scope that it does not know
    assert (elsewhere / 'work_dirs/my_recipe/iter_2.pth').exists()


def test_the_schedule_and_the_shares_train(repo, own_pair, readme, command, toy_options):
    hooks = next(block for block in python_blocks(readme) if 'LossScheduleHook' in block)
    with open(own_pair / 'my_recipe.py', 'a') as file:
        file.write(hooks)
    options = ['--cfg-options', *toy_options, *FIT]
    log = command(repo / 'tools/train.py', own_pair / 'my_recipe.py', *options, cwd=own_pair)
    # The first of a warm-up of 1,000 iterations.
    assert 'factor/tat: 0.0010' in log
    assert 'grad_share/feature/task: ' in log and 'grad_share/feature/tat: ' in log


def test_the_recipe_with_mmseg_s_own_tool(repo, own_pair, recipe, readme, command, toy_options):
    """As the README says: the fragment by its path, as mmseg's tool knows no mmrazor_tat::."""
    from test_tools.test_train_and_test import MMSEG_TOOLS, is_onedl

    (other,) = re.findall(r"`(__import__\('mmrazor_tat'\)[^`]*)`", readme)
    shown = "'_base_/methods/tat.py'"
    assert shown in other
    names = re.findall(r"'mmrazor_tat::([^']*)'", recipe)
    assert len(names) == 2
    for name in names:
        recipe = recipe.replace(f"'mmrazor_tat::{name}'", other.replace(shown, repr(name)))
    (own_pair / 'my_recipe.py').write_text(recipe)
    options = ['--cfg-options', *toy_options, *FIT]
    if is_onedl():
        pytest.skip('on the OneDL forks our tools are the way in')
    log = command(MMSEG_TOOLS / 'train.py', 'my_recipe.py', *options, cwd=own_pair)
    assert 'distill.loss_tat' in log and 'mIoU' in log


def test_the_student_is_taken_out_as_the_readme_says(readme, repo, tmp_path, monkeypatch):
    import torch
    from mmseg.apis import init_model

    code = re.search(r'```python\n(import torch\n.*?)```', readme, re.S).group(1)
    name = re.search(r"torch.load\('([^']*)'", code).group(1)
    cfg = Config.fromfile(repo / 'configs/demo/student.py')
    student = MODELS.build(cfg.model)
    weights = {f'architecture.{key}': value for key, value in student.state_dict().items()}
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    weights['teacher.x'] = torch.zeros(1)
    meta = dict(dataset_meta=dict(cfg.train_dataloader.dataset.metainfo))
    torch.save({'state_dict': weights, 'meta': meta}, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    loaded = init_model(cfg, 'student.pth', device='cpu').state_dict()
    assert loaded.keys() == student.state_dict().keys()
    assert all(torch.equal(loaded[key], value) for key, value in student.state_dict().items())


def test_every_file_that_is_named_exists(readme, repo):
    named = re.findall(r'\]\(((?!http)[^)#]+)\)', readme) + re.findall(
        r'`((?:configs|tools|requirements|mmrazor_tat|tests)/[\w./-]+\.\w+)`', readme
    )
    assert len(named) > 5
    missing = [name for name in named if not (repo / name).exists()]
    assert not missing


def test_every_make_target_that_is_named_exists(readme, repo):
    targets = set(re.findall(r'(?:`|^)make ([a-z-]+)', readme, re.M))
    assert {'demo', 'test', 'test-onedl', 'lint'} <= targets
    known = re.findall(r'^([a-z-]+):', (repo / 'Makefile').read_text(), re.M)
    assert targets <= set(known)
