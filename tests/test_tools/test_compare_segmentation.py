"""The tool that shows what distillation changed, as a user runs it."""

import copy
import re

import pytest
import torch
from mmengine import Config
from PIL import Image

from mmrazor_tat import config_path
from mmrazor_tat.utils.networks import trained_model
from mmrazor_tat.visualization.panels import load_networks


@pytest.fixture(scope='module')
def recipe(toy_voc, demo_teacher) -> Config:
    cfg = Config.fromfile(config_path('small/demo/tat_student.py'))
    cfg.val_dataloader.dataset.data_root = str(toy_voc)
    cfg.model.teacher_ckpt = demo_teacher
    return cfg


@pytest.fixture(scope='module')
def checkpoints(recipe, tmp_path_factory) -> tuple[str, str]:
    """Of the recipe and of its student alone, random weights."""
    folder = tmp_path_factory.mktemp('checkpoints')
    paths = folder / 'distilled.pth', folder / 'plain.pth'
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        model = trained_model(copy.deepcopy(recipe), with_teacher=True)
        weights = (model, model.student)[seed].state_dict()
        torch.save(dict(state_dict=weights, meta={}), path)
    return tuple(map(str, paths))


@pytest.fixture
def run(repo, here, toy_voc, tmp_path):
    def run(config, *arguments, ok=True, options=()):
        tool = repo / 'tools/compare_segmentation.py'
        arguments = [repo / 'configs/small/demo' / config, *arguments]
        alone = ['val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False']
        arguments += ['--cfg-options', f'data_root={toy_voc}', *alone, *options]
        return here(tool, *arguments, cwd=tmp_path, ok=ok)

    return run


def test_a_page_of_a_recipe(run, checkpoints, demo_teacher, tmp_path):
    distilled, plain = checkpoints
    arguments = ['--plain', plain, '--count', 2, '--num-images', 3, '--out', 'a/page.html']
    teacher = f'model.teacher_ckpt={demo_teacher}'
    said = run('tat_student.py', distilled, *arguments, options=[teacher])
    table = re.search(
        r'3 validation images +mIoU\n'
        r'teacher +(\S+)\nplain student +(\S+)\ndistilled student +(\S+)\n\n'
        r'Panels: a/page.html\n$',
        said,
    )
    assert table, said
    page = (tmp_path / 'a/page.html').read_text()
    for name, miou in zip(('teacher', 'plain student', 'distilled student'), table.groups()):
        assert 0 <= float(miou) <= 100
        assert f'<td>{name}</td><td class="number">{miou}</td>' in page
    assert page.count('<figure>') == 2 * 6
    assert '>Best gains: distilled student over plain student<' in page
    assert '<th>checkpoint</th>' in page and distilled in page


def test_a_picture_of_a_plain_network(run, checkpoints, tmp_path):
    said = run('tat_student.py', 'nowhere.pth', '--no-teacher', ok=False)
    assert said.splitlines()[-1] == "compare_segmentation: there is no file 'nowhere.pth'"
    assert not list(tmp_path.iterdir())
    said = run('student.py', checkpoints[1], '--count', 1)
    assert said.endswith('\n\nPanels: panel.png\n') and '4 validation images' in said
    columns = 4  # image, label, prediction, error map
    with Image.open(tmp_path / 'panel.png') as picture:
        assert picture.width == pytest.approx((columns * 1.88 + 0.22) * 120, abs=1)


def test_networks_of_a_recipe(recipe, checkpoints):
    distilled, plain = checkpoints
    networks = load_networks(recipe, distilled, plain)
    assert [(n.name, n.role, n.num_classes) for n in networks] == [
        ('teacher', 'teacher', 7),
        ('plain student', 'plain', 7),
        ('distilled student', 'student', 7),
    ]
    networks = load_networks(recipe, distilled, with_teacher=False)
    assert [n.role for n in networks] == ['student']
    teacher_cfg = Config.fromfile(config_path('small/demo/teacher.py'))
    networks = load_networks(recipe, distilled, recipe.model.teacher_ckpt, teacher_cfg, False)
    assert [n.role for n in networks] == ['plain', 'student']


def test_networks_that_do_not_fit(recipe, checkpoints):
    distilled, plain = checkpoints
    teacher = recipe.model.teacher_ckpt
    alone = copy.deepcopy(recipe)
    alone.model.teacher_ckpt = None
    student = Config.fromfile(config_path('small/demo/student.py'))
    for arguments, options, error in (
        ((recipe, distilled, 'gone.pth'), {}, "^there is no file 'gone.pth'"),
        ((recipe, plain), {}, 'holds a plain network'),
        ((recipe, distilled, teacher), dict(with_teacher=False), 'does not fit the EncoderDecoder'),
        ((recipe, distilled), dict(plain_cfg=recipe), '--plain-config needs --plain'),
        ((alone, distilled), {}, 'teacher_ckpt is None'),
        ((student, plain, plain), {}, "--plain: config '.*student.py' is no distillation"),
        ((Config(dict(a=1)), plain), {}, 'has no model'),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=error):
            load_networks(*arguments, **options)
