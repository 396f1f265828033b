"""The text of the README and of the site is run, not trusted."""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
PAGES = [
    REPO / 'README.md',
    REPO / 'README_zh.md',
    REPO / 'CONTRIBUTING.md',
    *sorted(
        path
        for path in (REPO / 'docs').rglob('*.md')
        if not {'recipes', '_build'} & {*path.relative_to(REPO / 'docs').parts}
    ),
]
ADDRESS = 'https://github.com/mmrazor-tat/mmrazor_tat'
each_page = pytest.mark.parametrize(
    'page', PAGES, ids=lambda path: path.relative_to(REPO).as_posix()
)


@pytest.fixture(scope='module')
def readme(repo) -> str:
    return (repo / 'README.md').read_text()


@pytest.fixture(scope='module')
def guides(repo) -> str:
    return '\n'.join(path.read_text() for path in sorted((repo / 'docs/guides').glob('*.md')))


@pytest.fixture(scope='module')
def recipe(readme) -> str:
    """The recipe that the README shows, to the letter."""
    return next(block for block in python_blocks(readme) if 'FrozenTeacherDistill' in block)


def python_blocks(readme) -> list[str]:
    return re.findall(r'```python\n(.*?)```', readme, re.S)


def test_the_readme_is_short_and_its_recipe_of_at_most_ten_lines(readme, recipe):
    lines = readme.splitlines()
    assert len(lines) <= 200 and max(map(len, lines)) <= 120
    assert 5 <= len([line for line in recipe.splitlines() if line.strip()]) <= 10


def test_the_chinese_readme_shows_what_the_english_one_does(repo, readme):
    """The same commands, code and output, pictures, links and figures, in the same order."""
    chinese = (repo / 'README_zh.md').read_text()
    for pattern in (
        r'```.*?```',
        r'!\[[^]]*\]\[([^]]+)\]',
        r'^\[[a-z_.]+\]: \S+$',
        r'^#+ ',
        r'\d+\.\d+ ± \d+\.\d+|[+-]\d+\.\d+ \[[^]]+\]',
        r'`[^`\n]+`',
    ):
        texts = [readme, chinese]
        if pattern.startswith('`['):  # the order and the line breaks of a sentence are its own
            texts = [re.sub('```.*?```', '', text, flags=re.S) for text in texts]
            texts = [text.replace('\n', ' ') for text in texts]
        found = [re.findall(pattern, text, re.S | re.M) for text in texts]
        if pattern.startswith('`['):
            found = [sorted(of) for of in found]
        assert found[0] and found[0] == found[1], pattern


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


def test_the_recipe_trains(repo, own_pair, here, toy_options):
    # From another folder, and with a student that inherits one of ours as an installed config.
    (own_pair / 'my_student.py').write_text("_base_ = 'mmrazor_tat::small/demo/student.py'\n")
    elsewhere = own_pair / 'elsewhere'
    elsewhere.mkdir()
    options = ['--cfg-options', *toy_options, *FIT]
    log = here(repo / 'tools/train.py', own_pair / 'my_recipe.py', *options, cwd=elsewhere)
    assert 'distill.loss_tat' in log and 'mIoU' in log
    assert 'Failed to' not in log  # mmengine's word for a scope that it does not know
    assert (elsewhere / 'work_dirs/my_recipe/iter_2.pth').exists()


def test_a_second_method_and_all_hooks_that_are_shown(repo, own_pair, guides, here, toy_options):
    pytest.importorskip('tensorboard')
    (joined,) = [b for b in python_blocks(guides) if "_base_ = ['my_recipe.py'" in b]
    name = 'joined.py'
    (own_pair / name).write_text('\n'.join(line.strip() for line in joined.splitlines()))
    shown = [block for block in python_blocks(guides) if block.startswith('default_hooks = ')]
    assert len(shown) == 4
    for number, hooks in enumerate(shown):  # each over the last, as mmengine merges them
        base, name = name, f'with_hooks_{number}.py'
        (own_pair / name).write_text(f"_base_ = './{base}'\n{hooks}")
    options = ['--cfg-options', *toy_options, *FIT]
    log = here(repo / 'tools/train.py', own_pair / name, *options, cwd=own_pair)
    assert 'distill.loss_tat' in log and 'distill.loss_cwd' in log
    # The first of a warm-up of 1,000 iterations.
    assert 'factor/tat: 0.0010' in log and 'balance/tat: 1.0000' in log
    assert 'grad_share/feature/task: ' in log and 'grad_share/feature/tat: ' in log
    work_dir = own_pair / 'work_dirs' / Path(name).stem
    pictures = sorted(path.name for path in work_dir.glob('*/vis_data/vis_image/attention_*.png'))
    assert pictures == [f'attention_val_0000{k}_{step}.png' for k in (0, 1) for step in (0, 2)]
    assert list(work_dir.glob('*/vis_data/events.out.tfevents.*'))
    files = {path.name for path in (work_dir / 'student').iterdir()}
    assert files == {'student.py', 'student_iter_2.pth', 'student_best.pth'}


def test_the_recipe_with_mmseg_s_own_tool(repo, own_pair, recipe, guides, command, toy_options):
    """As the guide says: the fragment by its path, as mmseg's tool knows no mmrazor_tat::."""
    from test_tools.test_train_and_test import MMSEG_TOOLS, is_onedl

    (other,) = re.findall(r"`(__import__\('mmrazor_tat'\)[^`]*)`", guides)
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


def test_pictures_report_and_export_as_the_guides_say(
    guides, demo_run, here, tmp_path, monkeypatch
):
    """Its commands to the letter, on the demo with four iterations."""
    pytest.importorskip('onnxruntime')
    blocks = [b for b in re.findall(r'```bash\n.*?```', guides, re.S) if '$RUN' in b]
    assert len(blocks) == 3
    shown = '\n'.join(blocks)
    assert len(re.findall('iter_1000', shown)) == 5
    (run,) = set(re.findall(r'^RUN=(.*)$', shown, re.M))
    (tmp_path / 'work_dirs').mkdir()
    (tmp_path / 'work_dirs/demo').symlink_to(demo_run[0])
    for tool, *words in commands(shown.replace('$RUN', run).replace('_1000', '_4')):
        here(tool, *words, cwd=tmp_path)
    for path in ('tat_student/attention/val_00003.png', 'tat_student/report.html'):
        assert (demo_run[0] / path).is_file()
    files = ['panel.html', 'curves.png', 'student/student.onnx', 'student/export.json']
    for name in (*files, 'hub/model.safetensors', 'hub/README.md'):
        assert (tmp_path / name).is_file()

    (code,) = [block for block in python_blocks(guides) if 'inference_model' in block]
    done: dict = {}
    monkeypatch.chdir(tmp_path)
    exec(code, done)
    assert done['result'].pred_sem_seg.data.shape == (1, 64, 64)
    assert len(list((tmp_path / 'predictions').glob('*/*val_0000?.jpg'))) == 4
    (code,) = [block for block in python_blocks(guides) if 'load_file' in block]
    exec(code, done)
    assert done['model'].dataset_meta['classes'][1] == 'disc'


def test_the_equations_in_code(repo):
    (code,) = python_blocks((repo / 'docs/method/equations.md').read_text())
    done: dict = {}
    exec(code, done)
    assert done['loss'] > 0


@each_page
def test_every_file_that_is_named_exists(page):
    text = page.read_text()
    links = re.findall(r'\]\(((?!http)[^)#]+)', text)
    missing = [link for link in links if not (page.parent / link).exists()]
    # The site writes its pages of recipes, and a toctree names pages without their ending.
    missing = [link for link in missing if 'recipes/' not in link]
    named = re.findall(
        r'`((?:configs|tools|requirements|mmrazor_tat|tests|docs|benchmarks)/[\w./-]+\.\w+)`', text
    )
    named += re.findall(rf'{ADDRESS}/(?:blob|tree)/main/([\w./-]+)', text)
    assert not missing + [name for name in named if not (REPO / name).exists()]


@each_page
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r'(?:`|^)make ([a-z-]+)', page.read_text(), re.M))
    assert targets <= set(re.findall(r'^([a-z-]+):', (REPO / 'Makefile').read_text(), re.M))


def commands(text: str) -> list[list[str]]:
    """The words of every command of a tool in the bash blocks of a page."""
    found = []
    for block in re.findall(r'```bash\n(.*?)```', text, re.S):
        for line in block.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            tools = [k for k, word in enumerate(words) if re.match(r'tools/\w+\.py$', word)]
            if tools:
                found.append(words[tools[0] :])
    return found


@each_page
def test_every_command_is_one_that_its_tool_takes(page, monkeypatch, tmp_path):
    """Each is read by the tool's own arguments, and names configs that exist."""
    for tool, *words in commands(page.read_text()):
        gone = [w for w in words if w.startswith('configs/') and not (REPO / w).exists()]
        assert not gone, tool
        monkeypatch.syspath_prepend(str(REPO / 'tools'))
        module = runpy.run_path(str(REPO / tool), run_name='not main')
        words = ['a.variable=1' if re.match(r'\$[A-Z_]+$', word) else word for word in words]
        monkeypatch.setattr(sys, 'argv', [tool, *words])
        module['parse_args']()
