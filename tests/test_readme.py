"""The README's text is run, not trusted."""

import re
import shutil

import pytest

SECTION = 'Distil your own pair'


@pytest.fixture(scope='module')
def readme(repo) -> str:
    return (repo / 'README.md').read_text()


@pytest.fixture(scope='module')
def recipe(readme) -> str:
    """The recipe that the README shows, to the letter."""
    section = readme.split(f'## {SECTION}')[1].split('\n## ')[0]
    return re.search(r'```python\n(.*?)```', section, re.S).group(1)


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


# The demo's map is 8 x 8 at a crop of 64: the README's grid is for larger ones.
FIT = [
    'model.distiller.distill_losses.loss_patch.grid=(4,4)',
    'model.distiller.distill_losses.loss_patch.groups=4',
]


def test_the_recipe_trains(repo, own_pair, command, toy_options):
    options = ['--cfg-options', *toy_options, *FIT]
    log = command(repo / 'tools/train.py', 'my_recipe.py', *options, cwd=own_pair)
    assert 'distill.loss_patch' in log and 'mIoU' in log
    assert (own_pair / 'work_dirs/my_recipe/iter_2.pth').exists()


def test_the_recipe_with_mmseg_s_own_tool(repo, own_pair, recipe, readme, command, toy_options):
    """As the README says: the fragment by its path, as mmseg's tool knows no mmrazor_tat::."""
    from test_tools.test_train_and_test import MMSEG_TOOLS, is_onedl

    (other,) = re.findall(r"`(__import__\('mmrazor_tat'\)[^`]*)`", readme)
    name = re.search(r"'mmrazor_tat::[^']*'", recipe).group(0)
    (own_pair / 'my_recipe.py').write_text(recipe.replace(name, other))
    options = ['--cfg-options', *toy_options, *FIT]
    if is_onedl():
        pytest.skip('on the OneDL forks our tools are the way in')
    log = command(MMSEG_TOOLS / 'train.py', 'my_recipe.py', *options, cwd=own_pair)
    assert 'distill.loss_patch' in log and 'mIoU' in log


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
