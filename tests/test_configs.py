"""Every config for segmentation is loaded and its model built: on the meta device, so in full, for
free. Those for classification: tests/test_classification.py."""

import copy
import functools
import math
import re
from pathlib import Path

import mmengine
import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS

REPO = Path(__file__).parent.parent
HEADS = ('deeplabv3', 'deeplabv3plus')
METHODS = ('at', 'cwd', 'fitnet', 'ickd', 'kd', 'ofd', 'review_kd', 'tat')
CONFIGS = sorted(
    path.relative_to(REPO / 'configs')
    for path in (REPO / 'configs').rglob('*.py')
    if path.relative_to(REPO / 'configs').parts[0] not in ('_base_', 'suites')
    and 'cifar' not in path.parent.name
    and not path.stem.endswith(('_cifar100', '_imagenet'))
)
RECIPES = [path for path in CONFIGS if path.parts[0] in METHODS]
TAT = [path for path in RECIPES if path.parts[0] == 'tat']
PLAIN = [path for path in CONFIGS if path.parts[0] in ('students', 'teachers')]
STUDENTS = [path for path in PLAIN if 'r101' not in path.name]
NETWORKS = {'r18': 'ResNet-18', 'r101': 'ResNet-101', 'mobilenet-v2': 'MobileNetV2'}
BY_MMSEG = '4xb4-40k'  # in the name of a config of mmseg's protocol
BY_PAPER = '513x513'  # and of the paper's

# The paper's settings (PAPER: released segmentation settings): grid, groups, kernel, weights.
PAPER = {
    'r18 voc12aug': ((16, 16), 64, 4, 0.1, 0.04),
    'mobilenet-v2 voc12aug': ((32, 32), 1024, 2, 0.1, 0.05),
    'r18 coco-stuff10k': ((32, 32), 512, 4, 0.6, 0.6),
    'mobilenet-v2 coco-stuff10k': ((16, 16), 64, 4, 0.4, 0.4),
}
# Learning rate and batch of its training.
PAPER_TRAINING = {
    'r18 voc12aug': (0.007, 16),
    'mobilenet-v2 voc12aug': (0.004, 12),
    'r18 coco-stuff10k': (0.01, 16),
    'mobilenet-v2 coco-stuff10k': (0.007, 12),
}
CLASSES = {'voc12aug': 21, 'coco-stuff10k': 171}
# Keys of the bases that no config may keep.
FRAGMENTS = {'guards', 'student', 'teacher', 'distiller', 'method', 'stages'}
FRAGMENTS |= {'paper_train_pipeline'}


@functools.cache
def load(path) -> Config:
    """Read once: not to be changed."""
    return Config.fromfile(REPO / 'configs' / path)


@functools.cache
def build(path) -> torch.nn.Module:
    """Built once, in evaluation."""
    cfg = load(path)
    model = copy.deepcopy(cfg.model)
    model.setdefault('data_preprocessor', cfg.data_preprocessor)
    if 'teacher' in model:
        model.teacher_ckpt = None
    with torch.device('meta'):
        return MODELS.build(model).eval()


def kind(path) -> str:
    """Student and data, e.g. 'r18 voc12aug'."""
    student = 'r18' if '_r18-' in path.name else 'mobilenet-v2'
    return f'{student} {next(name for name in CLASSES if name in path.name)}'


def student_of(recipe) -> Path:
    head = re.search('_(deeplabv3|deeplabv3plus)_', recipe.name).group(1)
    rest = re.sub(rf'^[a-z-]+_{head}_r101-d\d+_', '', recipe.name)
    return Path('students', f'{head}_{rest}')


def test_all_are_here():
    """7 rivals x 8 pairs, 6 forms of TaT x 8, 2 x 2 and 2 families x 4 more; students, teachers,
    demo, VOC."""
    assert len(RECIPES) == 7 * 8 + 6 * 8 + 2 * 2 + 2 * 4
    assert len(STUDENTS) == 10 and len(CONFIGS) == len(RECIPES) + 10 + 2 + 18 + 9


def in_every_run(path) -> bool:
    """Of TaT all, of the others two of the four pairs on VOC: test_recipes_run.py trains these."""
    if path not in RECIPES or path.name.startswith('tat_'):
        return True
    is_of_two_pairs = ('deeplabv3plus_' in path.name) == ('_mobilenet-v2-' in path.name)
    return is_of_two_pairs and 'coco-stuff10k' not in path.name


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(p, marks=() if in_every_run(p) else pytest.mark.slow, id=str(p))
        for p in CONFIGS
    ],
)
def test_builds(path):
    """For a recipe this probes every loss at the real crop."""
    cfg = load(path)
    model = build(path)
    assert cfg.custom_imports.imports == ['mmrazor_tat']
    assert cfg.default_hooks.recipe_check.type == 'mmrazor.RecipeCheckHook'
    assert not FRAGMENTS & cfg.keys() and not any(key.startswith('_') for key in cfg)
    if path in TAT:  # at the paper's map for DeepLabV3+, at half of it for DeepLabV3
        loss = model.distiller.distill_losses['loss_tat']
        side = 128 if 'deeplabv3plus' in path.name else 64
        channels = loss.in_channel, loss.out_channel
        assert loss.runs_lean(*(torch.zeros(1, k, side, side, device='meta') for k in channels))
    if path in RECIPES:
        mappings = model.distiller.loss_forward_mappings.values()
        records = [record for mapping in mappings for record in mapping.values()]
        assert {True, False} == {record['from_student'] for record in records}


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_a_recipe_keeps_what_its_student_says(path):
    """Data, schedule and evaluation are the plain student's, to the last key."""
    recipe, student = load(path), load(student_of(path))
    architecture = copy.deepcopy(recipe.model.architecture)
    if 'tat-released' in path.name:  # its cross entropy is divided by the batch once more
        loss = architecture.decode_head.loss_decode
        assert loss.pop('avg_non_ignore') and recipe.model.teacher_mode == 'bn_train'
        assert loss.loss_weight == 1 / recipe.train_dataloader.batch_size
        loss.loss_weight = 1.0
    assert architecture == student.model
    hooks = dict(recipe.default_hooks)
    check, evaluation = hooks.pop('teacher_check'), hooks.pop('teacher_evaluation')
    assert check.floor == (15 if 'coco' in path.name else 50)
    assert evaluation.type == 'mmrazor.TeacherEvaluationHook'
    rest = {key: value for key, value in recipe.items() if key != 'model'}
    rest['default_hooks'] = hooks
    assert rest == {key: value for key, value in student.items() if key != 'model'}


@pytest.mark.parametrize('path', TAT, ids=str)
def test_a_recipe_has_the_settings_of_its_family(path):
    """Views, groups and their weights are the authors' for all; the families differ in the rest."""
    grid, groups, kernel, patch, anchor = PAPER[kind(path)]
    distiller = load(path).model.distiller
    patch_view = dict(type='patch', grid=grid, groups=groups, weight=patch)
    anchor_view = dict(type='anchor', kernel=kernel, weight=anchor)
    name = path.name.split('_')[0]
    views = {
        'tat-patch': [patch_view],
        'tat-anchor': [anchor_view],
        'tat-whole': [dict(type='whole', weight=patch)],
    }.get(name, [patch_view, anchor_view])
    settings = {
        'tat-released': dict(softmax_over='teacher', scale=1.0, loss_weight=1.0),
        'tat-paper': dict(softmax_over='student', scale=1.0, loss_weight=1.0),
    }.get(name, dict(softmax_over='teacher', scale='auto', loss_weight=10.0))
    loss = dict(type='HierarchicalTaTLoss', views=views, **settings)
    other = name.removeprefix('tat-')
    others = fragment(other).distill_losses if other in ('cwd', 'kd') else {}
    assert distiller.distill_losses == dict(loss_tat=loss, **others)
    assert distiller.loss_forward_mappings.keys() == distiller.distill_losses.keys()


@pytest.mark.parametrize('path', [p for p in STUDENTS if BY_MMSEG in p.name], ids=str)
def test_mmseg_s_protocol(path):
    cfg = load(path)
    assert cfg.train_cfg.type == 'IterBasedTrainLoop' and cfg.train_cfg.max_iters == 40000
    assert cfg.auto_scale_lr.base_batch_size == 16 and cfg.crop_size == (512, 512)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum) == ('SGD', 0.01, 0.9)
    assert optimizer.weight_decay == 5e-4 and 'paramwise_cfg' not in cfg.optim_wrapper


@pytest.mark.parametrize('path', [p for p in STUDENTS if BY_PAPER in p.name], ids=str)
def test_the_paper_s_protocol(path):
    cfg = load(path)
    lr, batch = PAPER_TRAINING[kind(path)]
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys == dict(decode_head=dict(lr_mult=10.0))
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.type == 'EpochBasedTrainLoop' and cfg.train_cfg.max_epochs == 100
    (schedule,) = cfg.param_scheduler
    assert schedule.type == 'CosineAnnealingLR' and schedule.T_max == 100 and schedule.eta_min == 0
    assert cfg.crop_size == (513, 513) and f'1xb{batch}-100e' in path.name
    datasets = cfg.train_dataloader.dataset.get('datasets', [cfg.train_dataloader.dataset])
    for dataset in datasets:
        (crop,) = (step for step in dataset.pipeline if step.type == 'RandomCrop')
        assert crop.crop_size == (513, 513)
    squashed = cfg.default_hooks.squashed_evaluation
    assert squashed.type == 'SecondEvaluationHook'
    assert squashed.pipeline[2] == dict(type='SquashToSize', scale=(513, 513))
    # mmseg's own way stays the first one.
    assert cfg.val_dataloader.dataset.pipeline[1] == dict(
        type='Resize', scale=(2048, 512), keep_ratio=True
    )
    model = cfg.model
    assert model.data_preprocessor.size == (513, 513) and model.auxiliary_head is None
    assert model.decode_head.channels == 256 and model.decode_head.dilations == (1, 6, 12, 18)
    assert model.decode_head.num_classes == CLASSES[kind(path).split()[1]]


@pytest.mark.parametrize('path', [p for p in STUDENTS if BY_PAPER in p.name], ids=str)
def test_the_paper_s_networks_have_output_stride_16(path):
    maps = build(path).backbone(torch.zeros(1, 3, 512, 512, device='meta'))
    assert [512 // x.shape[-1] for x in maps] == [4, 8, 16, 16]


@pytest.mark.parametrize('path', RECIPES, ids=str)
def test_the_feature_points(path):
    """Both networks are read at the same strides; TaT and the feature losses before a ReLU."""
    distiller = load(path).model.distiller
    for side in ('student', 'teacher'):
        points = distiller[f'{side}_recorders']
        assert points.feature.type == 'PreActivation'
        assert points.feature.source == (
            'decode_head.sep_bottleneck.1.pointwise_conv.activate'
            if 'deeplabv3plus' in path.name
            else 'decode_head.bottleneck.activate'
        )
        assert points.logits == dict(type='ModuleOutputs', source='decode_head.conv_seg')
        assert ('aspp' in points) == ('deeplabv3plus' in path.name)


@pytest.mark.parametrize(
    'path', [p for p in RECIPES if p.parts[0] == 'review_kd' and 'voc' in p.name], ids=str
)
def test_the_stages_of_both_networks_have_the_same_size(path):
    """ReviewKD and Overhaul would refuse others: shapes of what is recorded."""
    model = build(path)
    names = ['stage1', 'stage2', 'stage3', 'stage4', 'feature']
    strides = [4, 8, 8, 8, 8] if 'd8' in path.name else [4, 8, 16, 16, 4]
    for side in ('student', 'teacher'):
        records = recorded(model, side, (512, 512))
        assert [512 / records(name).shape[2] for name in names] == strides
        assert [512 / records(name).shape[3] for name in names] == strides


def recorded(model, side: str, size: tuple[int, int]):
    """What gives the records of one network's pass, by name."""
    recorders = getattr(model.distiller, f'{side}_recorders')
    with recorders:
        getattr(model, side)(torch.zeros(1, 3, *size, device='meta'), mode='tensor')
    return lambda name: recorders.get_recorder(name).get_record_data()


# How much more a map of these recipes would weigh in a sum than in the setting of the authors.
PER_STAGE = [128**2 / 129**2, 64**2 / 65**2, 64**2 / 33**2, 64**2 / 33**2]
SUMS = {
    'deeplabv3_r101-d8': dict(feature=2 * 64**2 / 33**2),
    'deeplabv3plus_r101-d16': dict(feature=1, aspp=1),
}


OFD = [p for p in RECIPES if p.parts[0] == 'ofd' and 'voc' in p.name]


@pytest.mark.parametrize('path', OFD, ids=str)
def test_overhaul_weighs_its_maps_as_its_authors_do(path):
    """At the real crop: a sum would weigh ``factor`` times the authors' 1e-5 over 8, 4, 2, 1."""
    (name,) = (name for name in SUMS if name in path.name)
    by_paper = BY_PAPER in path.name
    over = dict(stage1=8, stage2=4, stage3=2, stage4=1, feature=16 if by_paper else 1, aspp=1)
    factors = {f'stage{k + 1}': 1 if by_paper else x for k, x in enumerate(PER_STAGE)}
    factors.update(SUMS[name])
    model = build(path)
    records = recorded(model, 'teacher', (513, 513) if by_paper else (512, 512))
    assert {f'loss_{name}' for name in factors} == set(model.distiller.distill_losses)
    for name, factor in factors.items():
        elements = records(name).numel()
        loss = model.distiller.distill_losses[f'loss_{name}']
        assert elements / math.prod(loss.meant_for) == pytest.approx(factor)
        of_an_element = loss.loss_weight / 1000 * math.prod(loss.meant_for) / elements
        assert of_an_element * factor == pytest.approx(1e-5 / over[name])
    if not by_paper:
        assert [round(factors[name], 1) for name in ('stage3', 'stage4')] == [3.8, 3.8]
        assert round(factors['feature'], 1) == 7.5


@pytest.mark.parametrize('path', [p for p in RECIPES if BY_MMSEG in p.name], ids=str)
def test_the_teacher_is_mmseg_s_published_one(path):
    """The checkpoint is the one that mmseg's metafile names for the teacher's config."""
    import mmseg

    data = next(name for name in CLASSES if name in path.name)
    head = student_of(path).name.split('_')[0]
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


@pytest.mark.parametrize('path', [p for p in RECIPES if BY_PAPER in p.name], ids=str)
def test_the_paper_s_teacher_is_to_be_trained_first(path):
    model = load(path).model
    data = next(name for name in CLASSES if name in path.name)
    (own,) = (p for p in CONFIGS if p.parts[0] == 'teachers' and data in p.name)
    assert model.teacher == load(own).model and model.teacher_ckpt is None
    assert model.teacher.backbone.depth == 101


@pytest.mark.parametrize('path', [p for p in STUDENTS if BY_MMSEG in p.name], ids=str)
def test_a_student_is_mmseg_s_own_of_another_data_set(path):
    """mmseg ships these networks for Cityscapes: all but the classes must be the same."""
    head, backbone = path.stem.split('_')[:2]
    name = {
        'r18-d8': f'{head}/{head}_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'mobilenet-v2-d8': f'mobilenet_v2/mobilenet-v2-d8_{head}_4xb2-80k_cityscapes-512x1024.py',
    }[backbone]
    known = Config.fromstring(f"_base_ = 'mmseg::{name}'", '.py').model
    ours = copy.deepcopy(load(path).model)
    for model in (known, ours):
        model.pop('data_preprocessor')
        for head in ('decode_head', 'auxiliary_head'):
            model[head].pop('num_classes')
    assert ours == known


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_a_child_says_only_its_difference(path):
    lines = (REPO / 'configs' / path).read_text().splitlines()
    # A recipe: a fragment for the pair, one for the method, and their assembly.
    assert len(lines) <= (6 if path in RECIPES else 20)


def test_parameters_of_the_networks():
    """What the tables of the README say."""
    millions = {}
    for path in STUDENTS:
        if 'voc12aug' in path.name:
            model = build(path)
            millions[re.split('_[14]xb', path.stem)[0]] = (
                sum(p.numel() for p in model.backbone.parameters())
                + sum(p.numel() for p in model.decode_head.parameters())
            ) / 1e6
    assert {name: round(value, 1) for name, value in millions.items()} == {
        'deeplabv3_r18-d8': 13.8,
        'deeplabv3_mobilenet-v2-d8': 18.4,
        'deeplabv3plus_r18-d8': 12.3,
        'deeplabv3plus_mobilenet-v2-d8': 15.0,
        'deeplabv3plus_r18-d16': 15.0,
        'deeplabv3plus_mobilenet-v2-d16': 5.3,
    }


def models_of_metafiles() -> list[dict]:
    index = mmengine.load(REPO / 'model-index.yml')
    models = (
        model for metafile in index['Import'] for model in mmengine.load(REPO / metafile)['Models']
    )
    return [model for model in models if not model['Name'].endswith(('_cifar100', '_imagenet'))]


def test_the_metafiles_name_every_recipe():
    """The plain networks, "none" among the methods, too."""
    named = sorted(model['Config'] for model in models_of_metafiles())
    assert named == sorted(f'configs/{path.as_posix()}' for path in RECIPES + PLAIN)


def test_the_metafiles_say_what_the_names_do():
    """And those say what the configs do: tests of the protocols."""
    form = r'.*_(.+)-d\d+_(\d)xb(\d+)-(\d+)(k|e)_(.+)-(\d+)x(\d+)'
    data = {'voc12aug': 'Pascal VOC 2012 + Aug', 'coco-stuff10k': 'COCO-Stuff 10k'}
    for model in models_of_metafiles():
        path, said = Path(model['Config']), model['Metadata']
        assert model['Name'] == path.stem
        network, gpus, batch, length, unit, images, *crop = re.fullmatch(form, path.stem).groups()
        length = dict(Epochs=int(length)) if unit == 'e' else dict(Iterations=1000 * int(length))
        head = 'DeepLabV3+' if 'deeplabv3plus' in path.stem else 'DeepLabV3'
        expected = {
            'Training Data': data[images],
            'Crop': 'x'.join(crop),  # not a list, which mim cannot read
            **length,
            'Batch Size': int(gpus) * int(batch),
        }
        if path.parent.name in METHODS:
            expected['Teacher'] = f'{head} ResNet-101'
        name = f'{head} {NETWORKS[network]}'
        assert said == {('Student' if 'Teacher' in expected else 'Network'): name, **expected}


@pytest.mark.parametrize('head', HEADS)
def test_the_readmes_of_the_plain_networks_list_them(head):
    text = (REPO / f'configs/students/{head}.md').read_text()
    listed = re.findall(r'^\* `(.*)`$', text, re.MULTILINE)
    assert sorted(listed) == sorted(path.stem for path in PLAIN if path.name.startswith(f'{head}_'))


@pytest.mark.parametrize('path', [p for p in PLAIN if BY_PAPER in p.name], ids=str)
def test_the_readme_says_the_training_of_the_paper_s_networks(path):
    cfg = load(path)
    student, data = kind(path).split()
    network = 'ResNet-101 (teacher)' if '_r101-' in path.name else NETWORKS[student]
    data = dict(zip(CLASSES, ('VOC12aug', 'COCO-Stuff10k')))[data]
    (schedule,) = cfg.param_scheduler
    assert schedule.eta_min == 0
    schedule = {
        'CosineAnnealingLR': 'cosine to 0',
        'PolyLR': f'poly, power {schedule.get("power")}, to 0',
    }[schedule.type]
    row = (
        f'| {network}, {data} | {cfg.train_cfg.max_epochs} | {schedule} '
        f'| {cfg.optim_wrapper.optimizer.lr:g} | {cfg.train_dataloader.batch_size} |'
    )
    assert row in (REPO / 'configs/students/deeplabv3plus.md').read_text()


def weights_in_readme(folder: str, page: str = 'README') -> str:
    """The section on weights, as one line."""
    text = (REPO / f'configs/{folder}/{page}.md').read_text()
    return ' '.join(text.split('\n## Weights\n')[1].split('\n## ')[0].split())


def fragment(name: str):
    return load(f'_base_/methods/{name}.py').method.distiller


class TestWeightsInTheReadmes:
    """They are those of the methods' fragments."""

    @pytest.mark.parametrize('method', ['at', 'fitnet', 'ickd', 'review_kd', 'kd', 'cwd'])
    def test_one_weight(self, method):
        (loss,) = fragment(method).distill_losses.values()
        text = weights_in_readme(method)
        temperature = rf'$\tau = {loss.tau:g}$, weight ' if 'tau' in loss else ''
        assert text.startswith(f'{temperature}{loss.loss_weight:g}: ')
        if method == 'ickd':
            assert 'Grid {} x {}:'.format(*loss.grid) in text
        if method == 'review_kd':
            assert f'{fragment(method).connectors.fusion.mid_channel} fused channels' in text

    def test_overhaul(self):
        """MMRazor's loss divides by 1000 itself."""
        losses = fragment('ofd').distill_losses
        for loss in fragment('ofd_deeplabv3plus').distill_losses.values():
            assert ' x '.join(map(str, loss.meant_for)) in weights_in_readme('ofd')
        plus = fragment('ofd_deeplabv3plus').distill_losses
        stages = [f'loss_stage{k}' for k in range(1, 5)]
        assert all(plus[stage] == losses[stage] for stage in stages)
        over = [f'{1e-5 / (losses[stage].loss_weight / 1000):g}' for stage in stages]
        aspp, head, decoder = (
            f'{1e-5 / (loss.loss_weight / 1000):g}'
            for loss in (plus.loss_aspp, losses.loss_feature, plus.loss_feature)
        )
        assert aspp == head
        assert weights_in_readme('ofd').startswith(
            f'$10^{{-5}}$ over {", ".join(over)} for the stages, {aspp} for the ASPP '
            f'(DeepLabV3: the head), {decoder} for the decoder: '
        )

    @pytest.mark.parametrize(
        'name, row',
        [
            ('tat', 'ResNet-18, VOC12aug'),
            ('tat_mobilenet-v2_voc12aug', 'MobileNetV2, VOC12aug'),
            ('tat_r18_coco-stuff10k', 'ResNet-18, COCO-Stuff10k'),
            ('tat_mobilenet-v2_coco-stuff10k', 'MobileNetV2, COCO-Stuff10k'),
        ],
    )
    def test_tat(self, name, row):
        patch, anchor = fragment(name).distill_losses.loss_tat.views
        n, m = patch.grid
        assert (
            f'| {row} | {n} x {m} | {patch.groups} | {n * m // patch.groups} | {anchor.kernel} '
            f'| {patch.weight:g} / {anchor.weight:g} |'
        ) in weights_in_readme('tat')

    @pytest.mark.parametrize('path', PLAIN, ids=str)
    def test_plain_networks(self, path):
        model = load(path).model
        text = weights_in_readme('students', path.name.split('_')[0])
        assert text.startswith('1 on the head, 0.4 on the auxiliary head')
        assert f'`{model.pretrained}`' in text
        if BY_MMSEG in path.name:
            assert model.auxiliary_head.loss_decode.loss_weight == 0.4
