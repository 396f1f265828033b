"""The README's text is run, not trusted."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope='module')
def readme(repo) -> str:
    return (repo / 'README.md').read_text()


@pytest.fixture(scope='module')
def recipe(readme) -> str:
    """The recipe that the README shows, to the letter."""
    return next(block for block in python_blocks(readme) if 'FrozenTeacherDistill' in block)


def python_blocks(readme) -> list[str]:
    return re.findall(r'```python\n(.*?)```', readme, re.S)


def test_the_recipe_has_at_most_ten_lines(recipe):
    assert 5 <= len([line for line in recipe.splitlines() if line.strip()]) <= 10


@pytest.fixture
def own_pair(repo, demo_teacher, recipe, tmp_path):
    """A user's folder: a student config, a teacher config, its weights and the recipe."""
    for name in ('student', 'teacher'):
        source = repo / f'configs/small/demo/{name}.py'
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
    (own_pair / 'my_student.py').write_text("_base_ = 'mmrazor_tat::small/demo/student.py'\n")
    elsewhere = own_pair / 'elsewhere'
    elsewhere.mkdir()
    options = ['--cfg-options', *toy_options, *FIT]
    log = command(repo / 'tools/train.py', own_pair / 'my_recipe.py', *options, cwd=elsewhere)
    assert 'distill.loss_tat' in log and 'mIoU' in log
    assert 'Failed to' not in log  # mmengine's word for a scope that it does not know
    assert (elsewhere / 'work_dirs/my_recipe/iter_2.pth').exists()


def test_all_hooks_that_are_shown_train(repo, own_pair, readme, command, toy_options):
    pytest.importorskip('tensorboard')
    shown = [block for block in python_blocks(readme) if block.startswith('default_hooks = ')]
    assert len(shown) == 3
    name = 'my_recipe.py'
    for number, hooks in enumerate(shown):  # each over the last, as mmengine merges them
        base, name = name, f'with_hooks_{number}.py'
        (own_pair / name).write_text(f"_base_ = './{base}'\n{hooks}")
    options = ['--cfg-options', *toy_options, *FIT]
    log = command(repo / 'tools/train.py', own_pair / name, *options, cwd=own_pair)
    # The first of a warm-up of 1,000 iterations.
    assert 'factor/tat: 0.0010' in log
    assert 'grad_share/feature/task: ' in log and 'grad_share/feature/tat: ' in log
    work_dir = own_pair / 'work_dirs' / Path(name).stem
    pictures = sorted(path.name for path in work_dir.glob('*/vis_data/vis_image/attention_*.png'))
    assert pictures == [f'attention_val_0000{k}_{step}.png' for k in (0, 1) for step in (0, 2)]
    assert list(work_dir.glob('*/vis_data/events.out.tfevents.*'))
    files = {path.name for path in (work_dir / 'student').iterdir()}
    assert files == {'student.py', 'student_iter_2.pth', 'student_best.pth'}


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


def test_pictures_report_and_export_as_the_readme_says(
    repo, readme, demo_run, tmp_path, monkeypatch
):
    """Its commands to the letter, on the demo with four iterations."""
    pytest.importorskip('onnxruntime')
    shown = [b for b in re.findall(r'```bash\n(.*?)```', readme, re.S) if '$RUN' in b]
    assert len(shown) == 2
    commands = '\n'.join(shown)
    assert len(re.findall('iter_1000', commands)) == 4
    (tmp_path / 'work_dirs').mkdir()
    (tmp_path / 'work_dirs/demo').symlink_to(demo_run[0])
    for there in ('tools', 'configs'):
        (tmp_path / there).symlink_to(repo / there)
    commands = commands.replace('.venv/bin/python', sys.executable).replace('_1000', '_4')
    run = subprocess.run(
        ['bash', '-ec', commands],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    for path in ('tat_student/attention/val_00003.png', 'tat_student/report.html'):
        assert (demo_run[0] / path).is_file()
    for name in ('panel.html', 'curves.png', 'student/student.onnx', 'student/export.json'):
        assert (tmp_path / name).is_file()

    (code,) = [block for block in python_blocks(readme) if 'inference_model' in block]
    done: dict = {}
    monkeypatch.chdir(tmp_path)
    exec(code, done)
    assert done['result'].pred_sem_seg.data.shape == (1, 64, 64)


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
