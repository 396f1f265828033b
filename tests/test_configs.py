"""Every shipped config is loaded and its model built: on the meta device, so in full, for free."""

import ast
import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS

REPO = Path(__file__).parent.parent
CONFIGS = sorted(
    path.relative_to(REPO / 'configs')
    for path in (REPO / 'configs').rglob('*.py')
    if '_base_' not in path.parts
)
RECIPES = [path for path in CONFIGS if path.parts[0].startswith('tat')]
STUDENTS = [path for path in CONFIGS if path.parts[0] in ('deeplabv3', 'deeplabv3plus')]

# The paper's settings (PAPER: released segmentation settings): grid, groups, kernel, weights.
PAPER = {
    'r18-d8 voc12aug': ((16, 16), 64, 4, 0.1, 0.04),
    'mobilenet-v2-d8 voc12aug': ((32, 32), 1024, 2, 0.1, 0.05),
    'r18-d8 coco-stuff10k': ((32, 32), 512, 4, 0.6, 0.6),
    'mobilenet-v2-d8 coco-stuff10k': ((16, 16), 64, 4, 0.4, 0.4),
}
CLASSES = {'voc12aug': 21, 'coco-stuff10k': 171}


def load(path) -> Config:
    return Config.fromfile(REPO / 'configs' / path)


def build(cfg: Config) -> torch.nn.Module:
    model = cfg.model.copy()
    model.setdefault('data_preprocessor', cfg.data_preprocessor)
    if 'teacher' in model:
        model.teacher_ckpt = None
    with torch.device('meta'):
        return MODELS.build(model)


def test_all_are_here():
    assert len(RECIPES) == 20 and len(STUDENTS) == 6 and len(CONFIGS) == 29


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_builds(path):
    cfg = load(path)
    model = build(cfg)  # for a recipe this probes every loss at the real crop
    assert cfg.custom_imports.imports == ['mmrazor_tat']
    assert sum(p.numel() for p in model.parameters()) > 1e5


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_a_recipe_keeps_what_its_student_says(path):
    """Data, schedule and evaluation are the plain student's, to the last key."""
    recipe = load(path)
    head = path.name.split('_')[1]
    student = load(f'{head}/{head}_{path.name.split("r101-d8_")[1]}')
    assert recipe.model.architecture == student.model
    rest = {key: value for key, value in recipe.items() if key != 'model'}
    assert rest == {key: value for key, value in student.items() if key != 'model'}
    assert recipe.auto_scale_lr.base_batch_size == 16
    assert recipe.train_cfg.max_iters == 40000


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_a_recipe_has_the_paper_s_settings(path):
    kind, _, rest = re.split('_(deeplabv3|deeplabv3plus)_r101-d8_', path.stem)
    student, _, data = rest.rsplit('-512x512', 1)[0].split('_')
    grid, groups, kernel, patch, anchor = PAPER[f'{student} {data}']
    distiller = load(path).model.distiller
    patch_view = dict(type='patch', grid=grid, groups=groups, weight=patch)
    anchor_view = dict(type='anchor', kernel=kernel, weight=anchor)
    views = {
        'tat': [patch_view, anchor_view],
        'tat-patch': [patch_view],
        'tat-anchor': [anchor_view],
        'tat-whole': [dict(type='whole', weight=patch)],
    }[kind]
    loss = dict(type='HierarchicalTaTLoss', views=views)
    assert distiller.distill_losses == dict(loss_tat=loss)
    assert distiller.loss_forward_mappings.keys() == {'loss_tat'}


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_a_recipe_runs_on_the_lean_operator(path):
    """At the paper's map for DeepLabV3+ (1/4 of the image), at half of it for DeepLabV3."""
    model = build(load(path))
    loss = model.distiller.distill_losses['loss_tat']
    side = 128 if 'deeplabv3plus' in path.name else 64
    maps = (torch.zeros(1, k, side, side, device='meta') for k in (loss.in_channel, 512))
    assert loss.runs_lean(*maps)
    for recorders in (model.distiller.student_recorders, model.distiller.teacher_recorders):
        source = recorders.get_recorder('feature').source
        assert source.startswith('decode_head.') and source.endswith('.activate')
    assert loss.in_channel == (128 if '_r18-d8_' in path.name else 512)
    assert loss.out_channel == 512


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_the_teacher_is_mmseg_s_published_one(path):
    """The checkpoint is the one that mmseg's metafile names for the teacher's config."""
    import mmengine
    import mmseg

    data = next(name for name in CLASSES if name in path.name)
    head = path.name.split('_')[1]
    name = f'{head}_r101-d8_4xb4-40k_{data}-512x512'
    metafile = mmengine.load(
        f'{mmseg.__path__[0]}/.mim/configs/{head}/metafile.yaml', file_format='yaml'
    )
    (entry,) = [model for model in metafile['Models'] if model['Name'] == name]
    model = load(path).model
    # The OneDL forks mirror the same files on a host of their own; a name ends in the file's hash.
    assert model.teacher_ckpt.split('/')[-2:] == entry['Weights'].split('/')[-2:]
    published = Config.fromstring(f"_base_ = 'mmseg::{head}/{name}.py'", '.py').model
    assert model.teacher == published
    assert model.teacher.decode_head.num_classes == CLASSES[data]
    assert model.architecture.decode_head.num_classes == CLASSES[data]


@pytest.mark.parametrize('path', STUDENTS, ids=str)
def test_a_student_is_mmseg_s_own_of_another_data_set(path):
    """mmseg ships these networks for Cityscapes: all but the classes must be the same."""
    head, kind = path.stem.split('_')[:2]
    name = {
        'r18-d8': f'{head}/{head}_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'mobilenet-v2-d8': f'mobilenet_v2/mobilenet-v2-d8_{head}_4xb2-80k_cityscapes-512x1024.py',
    }[kind]
    known = Config.fromstring(f"_base_ = 'mmseg::{name}'", '.py').model
    ours = load(path).model
    for model in (known, ours):
        model.pop('data_preprocessor')
        for head in ('decode_head', 'auxiliary_head'):
            model[head].pop('num_classes')
    assert ours == known


@pytest.mark.parametrize('path', RECIPES + STUDENTS, ids=str)
def test_a_child_says_only_its_difference(path):
    text = (REPO / 'configs' / path).read_text()
    ast.parse(text)
    assert len(text.splitlines()) <= 20


def test_parameters_of_the_networks():
    """What the tables of the README say."""
    millions = {}
    for path in STUDENTS:
        if 'voc12aug' in path.name:
            model = build(load(path))
            millions[path.stem.split('_4xb4')[0]] = (
                sum(p.numel() for p in model.backbone.parameters())
                + sum(p.numel() for p in model.decode_head.parameters())
            ) / 1e6
    assert {name: round(value, 1) for name, value in millions.items()} == {
        'deeplabv3_r18-d8': 13.8,
        'deeplabv3_mobilenet-v2-d8': 18.4,
        'deeplabv3plus_r18-d8': 12.3,
        'deeplabv3plus_mobilenet-v2-d8': 15.0,
    }


def test_the_metafile_names_every_recipe():
    import mmengine

    index = mmengine.load(REPO / 'model-index.yml')
    named = [
        model['Config']
        for metafile in index['Import']
        for model in mmengine.load(REPO / metafile)['Models']
    ]
    assert sorted(named) == sorted(f'configs/{path.as_posix()}' for path in RECIPES)
