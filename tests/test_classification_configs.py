"""Every config for classification is loaded, those for CIFAR-100 are built in full: for a recipe
this probes every loss. tests/test_classification_run.py trains them all."""

import copy
import functools
import math
import re
from pathlib import Path

import mmengine
import pytest
import torch
import torch.nn.functional as F
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmrazor.models.task_modules import RecorderManager

from mmrazor_tat.compat.stack import turn_off_inplace

pytestmark = pytest.mark.mmpretrain

REPO = Path(__file__).parent.parent
CIFAR = sorted((REPO / 'configs').glob('*/*_1xb64-240e_cifar100.py'))
IMAGENET = sorted((REPO / 'configs').glob('*/*_8xb256-100e_imagenet.py'))
DEMO = sorted((REPO / 'configs/small/demo_cifar').glob('*.py'))
CONFIGS = CIFAR + IMAGENET + DEMO
RECIPES = [p for p in CIFAR + IMAGENET if p.parent.name not in ('students', 'teachers')]
PAIRS = [
    ('wrn-40-2', 'wrn-16-2'),
    ('wrn-40-2', 'wrn-40-1'),
    ('resnet56', 'resnet20'),
    ('resnet110', 'resnet20'),
    ('resnet110', 'resnet32'),
    ('resnet32x4', 'resnet8x4'),
    ('vgg13', 'vgg8'),
]
METHODS = {
    *('kd', 'fitnet', 'at', 'sp', 'cc', 'rkd', 'pkt', 'fsp', 'nst', 'crd', 'ickd', 'afd'),
    *('review-kd', 'sckd', 'tat', 'tat-kl'),
}
# alpha, what is beside it, and the temperature: the weights that the recipes are known by.
WEIGHTS = {
    ('kd', 'cifar100'): (0.1, {'loss_kl': 0.9}, 4),
    ('sckd', 'cifar100'): (0.1, {'loss_sckd': 0.9}, 4),
    ('tat', 'cifar100'): (1, {'loss_tat': 1}, None),
    ('tat-kl', 'cifar100'): (0.1, {'loss_tat': 1, 'loss_kl': 0.9}, 4),
    ('kd', 'imagenet'): (0.5, {'loss_kl': 0.5}, 1),
    ('sckd', 'imagenet'): (0.5, {'loss_sckd': 0.5}, 1),
    ('tat', 'imagenet'): (0.1, {'loss_tat': 0.2}, None),
    ('tat-kl', 'imagenet'): (0.5, {'loss_tat': 0.1, 'loss_kl': 0.5}, 1),
    ('tat-released', 'imagenet'): (0.1, {'loss_tat': 0.2}, None),
    ('tat-released-kl', 'imagenet'): (0.5, {'loss_tat': 0.1, 'loss_kl': 0.5}, 1),
    ('tat-paper', 'imagenet'): (0.1, {'loss_tat': 0.2}, None),
}
FAMILIES = {'tat-released', 'tat-paper'}


@pytest.fixture(autouse=True)
def scope(instances):
    init_default_scope('mmpretrain')


@functools.cache
def load(path: Path) -> Config:
    """Read once: not to be changed."""
    return Config.fromfile(path)


def plain(network: str) -> Config:
    (path,) = (path for path in CIFAR if path.name.startswith(f'{network}_1xb64'))
    return load(path)


def build(config: dict, device: str = 'meta') -> torch.nn.Module:
    config = copy.deepcopy(config)
    if 'teacher' in config:
        config.teacher_ckpt = None
    with torch.device(device):
        return MODELS.build(config)


def named(path: Path) -> tuple[str, str, str]:
    """Method, teacher and student of a recipe's name."""
    return re.fullmatch(r'([a-z-]+)_([^_]+)_([^_]+)_.*', path.stem).groups()


def test_every_method_is_there_for_every_pair():
    expected = {(method, *pair) for method in METHODS for pair in PAIRS}
    expected.remove(('fsp', 'wrn-40-2', 'wrn-40-1'))  # other widths: the paper's "NA"
    recipes = [p for p in CIFAR if p in RECIPES]
    assert sorted(map(named, recipes)) == sorted(expected)
    recipes = [p for p in IMAGENET if p in RECIPES]
    methods = ('kd', 'at', 'cc-kl', 'rkd-kl', 'crd', 'ickd', 'afd', 'review-kd', 'sckd')
    assert sorted(map(named, recipes)) == sorted(
        (method, 'resnet34', 'resnet18')
        for method in (*methods, 'tat', 'tat-kl', 'tat-released-kl', *FAMILIES)
    )
    students = {p.stem.removesuffix('_student') for p in DEMO if p.stem.endswith('_student')}
    assert students == METHODS | FAMILIES


def is_right_way_round(mappings: dict) -> None:
    """What is the student's comes from the student, and both are read at the same points.

    Knowledge review's teacher is read before the ReLU that ends them."""
    for name, records in mappings.items():
        of_student = [key for key, record in records.items() if record['from_student']]
        pairs = [('s_feature', 't_feature'), ('s_features', 't_features'), ('preds_S', 'preds_T')]
        (pair,) = (pair for pair in pairs if set(pair) <= records.keys())
        assert [key for key in of_student if key != 'data_samples'] == [pair[0]], name
        s_points, t_points = (records[key]['recorder'] for key in pair)
        if name == 'loss_review':
            s_points = [f'{point}_pre' for point in s_points]
        assert s_points == t_points, name


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_loads_and_builds(path):
    cfg = load(path)
    assert cfg.custom_imports.imports == ['mmrazor_tat']
    assert cfg.default_hooks.recipe_check.type == 'mmrazor.RecipeCheckHook'
    assert cfg.default_scope == 'mmpretrain'
    fragments = {'guards', 'teacher', 'distiller', 'method', 'method_hooks', 'teacher_hooks'}
    assert not fragments & cfg.keys() and not any(key.startswith('_') for key in cfg)
    if path in IMAGENET:  # mmpretrain's ResNet cannot be built on the meta device
        return
    model = build(cfg.model)
    if path in RECIPES:
        is_right_way_round(model.distiller.loss_forward_mappings)


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_a_recipe_keeps_what_its_student_says(path):
    """Data, schedule and evaluation are the plain student's, to the last key, and the networks are
    those of its name."""
    recipe = load(path)
    method, teacher, network = named(path)
    end = path.stem.split('_')[-2:]
    student = load(REPO / f'configs/students/{network}_{end[0]}_{end[1]}.py')
    architecture = copy.deepcopy(recipe.model.architecture)
    alpha = architecture.head.loss.pop('loss_weight')
    expected = copy.deepcopy(student.model)
    assert expected.head.loss.pop('loss_weight') == 1
    assert architecture == expected
    hooks = dict(recipe.default_hooks)
    check, evaluation = hooks.pop('teacher_check'), hooks.pop('teacher_evaluation')
    assert check.metric == 'accuracy/top1' and check.floor in (35, 40)
    assert evaluation.type == 'mmrazor.TeacherEvaluationHook'
    if method == 'fsp':
        assert hooks.pop('loss_schedule').schedules == dict(
            loss_fsp=dict(stop=30 * math.ceil(50000 / 64))
        )
    rest = {key: value for key, value in recipe.items() if key != 'model'}
    rest['default_hooks'] = hooks
    assert rest == {key: value for key, value in student.items() if key != 'model'}
    if end[1] == 'cifar100':
        assert recipe.model.teacher == plain(teacher).model and recipe.model.teacher_ckpt is None
        assert recipe.model.probe_size == (32, 32)
    if method in ('cc-kl', 'rkd-kl'):
        assert (alpha, recipe.model.distiller.distill_losses.loss_kl.loss_weight) == (0.5, 0.5)
    elif (method, end[1]) in WEIGHTS:
        task, beside, tau = WEIGHTS[method, end[1]]
        losses = recipe.model.distiller.distill_losses
        assert alpha == task
        assert {name: loss.loss_weight for name, loss in losses.items()} == beside
        assert all(loss.tau == tau for loss in losses.values() if 'tau' in loss)
    else:
        assert alpha == 1


def test_the_protocol_of_cifar100():
    """Of the plain networks, which the recipes keep."""
    networks = [path for path in CIFAR if path not in RECIPES]
    assert len(networks) == 11
    for path in networks:
        cfg = load(path)
        assert cfg.optim_wrapper.optimizer == dict(
            type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4
        )
        schedule = cfg.param_scheduler
        assert (schedule.milestones, schedule.gamma) == ([150, 180, 210], 0.1)
        assert schedule.by_epoch and cfg.train_cfg.max_epochs == 240
        assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 64
        assert cfg.train_dataloader.dataset.pipeline == [
            dict(type='RandomCrop', crop_size=32, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ]
        # Of CIFAR-100's training images, which come as R, G, B.
        assert not cfg.data_preprocessor.to_rgb
        assert cfg.data_preprocessor.mean == [129.304, 124.070, 112.434]
        assert cfg.data_preprocessor.std == [68.170, 65.392, 70.418]
        assert cfg.model.data_preprocessor == cfg.data_preprocessor
        splits = [cfg[f'{mode}_dataloader'].dataset.split for mode in ('train', 'val', 'test')]
        assert splits == ['train', 'test', 'test']


def test_the_released_protocol_of_imagenet():
    cfg = load(REPO / 'configs/students/resnet18_8xb256-100e_imagenet.py')
    assert cfg.optim_wrapper.optimizer == dict(type='AdamW', lr=1.6e-3, weight_decay=5e-4)
    schedule = cfg.param_scheduler
    assert (schedule.milestones, schedule.gamma) == ([30, 60, 90], 0.1)
    assert schedule.by_epoch and cfg.train_cfg.max_epochs == 100
    assert cfg.train_dataloader.batch_size == 256
    assert cfg.auto_scale_lr.base_batch_size == 8 * 256


def test_the_teacher_on_imagenet_is_mmpretrain_s_published_one():
    import mmpretrain

    folder = Path(mmpretrain.__file__).parent / '.mim/configs/resnet'
    models = mmengine.load(folder / 'metafile.yml')['Models']
    (entry,) = (model for model in models if model['Name'] == 'resnet34_8xb32_in1k')
    for path in IMAGENET:
        if path in RECIPES:
            model = load(path).model
            assert model.teacher_ckpt.split('/')[-2:] == entry['Weights'].split('/')[-2:]
            published = Config.fromfile(folder / 'resnet34_8xb32_in1k.py').model
            assert {k: v for k, v in model.teacher.items() if k != '_scope_'} == published


def recorded(pair: str, side: str, size: int) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A network of a pair with random weights, and what its recorders read."""
    config = load(REPO / f'configs/_base_/classification/pairs/{pair}.py').model
    network = build(config.teacher if side == 'teacher' else config.architecture, 'cpu').eval()
    turn_off_inplace(network)  # as the algorithm does
    points = copy.deepcopy(config.distiller[f'{side}_recorders'])
    points.pop('samples', None)
    with DefaultScope.overwrite_default_scope('mmrazor'):
        recorders = RecorderManager(points)
    recorders.initialize(network)
    with recorders, torch.no_grad():
        network(torch.randn(2, 3, size, size), mode='tensor')
    return network, {name: recorders.get_recorder(name).get_record_data() for name in points}


@pytest.mark.parametrize('teacher, student', PAIRS)
def test_the_feature_points_on_cifar100(teacher, student):
    """Both networks are read at the same sizes; what is pooled is what the classifier sees."""
    sizes = [32, 16, 8, 4, 4] if teacher == 'vgg13' else [32, 32, 16, 8, 8]
    for side in ('student', 'teacher'):
        network, maps = recorded(f'{teacher}_{student}_1xb64-240e_cifar100', side, 32)
        points = ('stem', 'stage1', 'stage2', 'stage3', 'feature')
        assert [maps[name].shape[-1] for name in points] == sizes
        torch.testing.assert_close(maps['embedding'], maps['feature'].mean((2, 3), keepdim=True))
        torch.testing.assert_close(maps['logits'], network.head.fc(maps['embedding'].flatten(1)))
        assert (maps['feature'] >= 0).all()  # after the ReLU


def test_the_feature_points_on_imagenet():
    for side in ('student', 'teacher'):
        _, maps = recorded('resnet34_resnet18_8xb256-100e_imagenet', side, 224)
        points = ('stem', 'stage1', 'stage2', 'stage3', 'feature')
        shapes = [tuple(maps[name].shape[1:]) for name in points]
        assert shapes == [(64, 56, 56), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]


# Of knowledge review: the student's records and the teacher's.
REVIEWED = ['stage1', 'stage2', 'stage3', 'feature']
BEFORE = [f'{name}_pre' for name in REVIEWED]


def reviewed(path: Path) -> tuple[list[str], list[str]]:
    mapping = load(path).model.distiller.loss_forward_mappings.loss_review
    return mapping.s_features.recorder, mapping.t_features.recorder


def inputs_of(network: torch.nn.Module, names: list[str], size: int) -> dict[str, torch.Tensor]:
    """What these modules took in their last call, copied before anything works in place."""
    taken = {}
    for name in names:
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: taken.update({name: inputs[0].clone()})
        )
    with torch.no_grad():
        network(torch.randn(1, 3, size, size), mode='tensor')
    return taken


@pytest.mark.parametrize('teacher, student', PAIRS)
def test_knowledge_review_reads_the_teacher_before_its_relu_on_cifar100(teacher, student):
    """As the authors' code for CIFAR-100: of the student the results of the stages."""
    pair = f'{teacher}_{student}_1xb64-240e_cifar100'
    levels = 4 if teacher == 'vgg13' else 3
    points = reviewed(REPO / f'configs/review_kd/review-kd_{pair}.py')
    assert points == (REVIEWED[:levels], BEFORE[:levels])
    network, maps = recorded(pair, 'teacher', 32)
    for name in REVIEWED[:levels]:
        before, after = maps[f'{name}_pre'], maps[name]
        assert before.min() < 0
        if teacher.startswith('wrn'):  # its stages end before the norm and the ReLU
            norm = dict(stage1='layer2.0.bn1', stage2='layer3.0.bn1', stage3='bn1')[name]
            norm = network.backbone.get_submodule(norm)
            torch.testing.assert_close(before, norm(after))
        else:
            assert torch.equal(before.relu(), after)
    if teacher.startswith('wrn'):
        assert torch.equal(maps['stage3_pre'].relu(), maps['feature'])
    # The student's: the results of the stages, after the ReLU where they have one.
    _, maps = recorded(pair, 'student', 32)
    for name in REVIEWED[:levels]:
        assert (maps[name].min() < 0) == student.startswith('wrn')


def test_knowledge_review_reads_both_before_the_relu_on_imagenet():
    pair = 'resnet34_resnet18_8xb256-100e_imagenet'
    assert reviewed(REPO / f'configs/review_kd/review-kd_{pair}.py') == (BEFORE, BEFORE)
    for side in ('student', 'teacher'):
        _, maps = recorded(pair, side, 64)
        for name in REVIEWED:
            before, after = maps[f'{name}_pre'], maps[name]
            assert before.min() < 0 and torch.equal(before.relu(), after)


@pytest.mark.parametrize(
    'recipe, sides',
    [
        ('small/demo_cifar/review-kd_student.py', ('teacher',)),
        ('review_kd/review-kd_wrn-40-2_wrn-16-2_1xb64-240e_cifar100.py', ('teacher',)),
        ('review_kd/review-kd_resnet34_resnet18_8xb256-100e_imagenet.py', ('student', 'teacher')),
    ],
)
def test_knowledge_review_s_records_are_what_the_relus_took(recipe, sides):
    """In the algorithm itself, also of networks whose ReLUs work in place when left alone."""
    distill = build(load(REPO / 'configs' / recipe).model, 'cpu').eval()
    for side in sides:
        recorders = getattr(distill.distiller, f'{side}_recorders')
        of = recorders.recorders.items()
        points = {recorder.source: name for name, recorder in of if name.endswith('_pre')}
        with recorders:
            taken = inputs_of(getattr(distill, side), list(points), 64)
        assert len(taken) == len(points) == (4 if 'imagenet' in recipe else 3)
        for module, name in points.items():
            record = recorders.get_recorder(name).get_record_data()
            assert record.min() < 0 and torch.equal(record, taken[module])


def test_tat_on_imagenet_at_the_released_settings():
    settings = {}
    for path in IMAGENET:
        if path.parent.name == 'tat':
            loss = load(path).model.distiller.distill_losses['loss_tat']
            settings[path.stem.split('_')[0]] = (loss.softmax_over, loss.scale)
    assert settings == {
        **dict.fromkeys(('tat', 'tat-kl'), ('teacher', 'auto')),
        **dict.fromkeys(('tat-released', 'tat-released-kl'), ('teacher', 1.0)),
        'tat-paper': ('student', 1.0),
    }
    (path,) = (p for p in IMAGENET if p.stem.startswith('tat-released-kl'))
    loss = build(load(path).model, 'cpu').distiller.distill_losses['loss_tat']
    for name in ('gamma', 'phi'):
        convolution = getattr(loss, name).conv
        assert convolution.kernel_size == (3, 3) and convolution.bias is None
        assert type(getattr(loss, name).norm) is torch.nn.BatchNorm2d
    assert type(loss.theta) is torch.nn.Identity


def test_the_loss_is_the_weighted_sum_of_the_paper():
    """L = alpha L_task + beta L_KL + epsilon L_TaT, written out for a batch in float64."""
    from mmpretrain.structures import DataSample

    path = REPO / 'configs/tat/tat-kl_wrn-40-2_wrn-40-1_1xb64-240e_cifar100.py'
    config = copy.deepcopy(load(path).model)
    alpha, beta, epsilon, tau = 0.3, 0.7, 2.0, 3.0
    config.architecture.head.loss.loss_weight = alpha
    config.distiller.distill_losses.loss_kl.update(loss_weight=beta, tau=tau)
    config.distiller.distill_losses.loss_tat.loss_weight = epsilon
    torch.manual_seed(0)
    model = build(config, 'cpu').double().train()
    model.teacher_is_loaded = True  # random weights do here
    inputs = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    labels = torch.tensor([3, 99, 0, 42])
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    losses = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(losses)

    def pass_by_hand(network):
        feature = network.backbone(inputs)[-1]
        return feature, network.head.fc(feature.mean((2, 3)))

    def project(maps, of):
        maps = F.conv2d(maps, of.conv.weight, padding=1)
        maps = F.batch_norm(maps, None, None, of.norm.weight, of.norm.bias, training=True)
        return maps.flatten(2)

    with torch.no_grad():
        (s, s_logits), (t, t_logits) = map(pass_by_hand, (model.student, model.teacher))
        loss = model.distiller.distill_losses['loss_tat']
        key, value = (project(s, projection) for projection in (loss.gamma, loss.phi))
        query = t.flatten(2)
        logits = torch.einsum('bci,bcj->bij', key, query) / key.shape[1] ** 0.5
        attention = logits.softmax(-1)
        rebuilt = torch.einsum('bij,bcj->bci', attention, value)
        tat = (rebuilt - query).square().mean()
        p, q = ((logits / tau).softmax(1) for logits in (t_logits, s_logits))
        kl = tau**2 * (p * (p.log() - q.log())).sum() / 4
        task = -s_logits.log_softmax(1)[range(4), labels].mean()
    torch.testing.assert_close(losses['student.loss'].detach(), alpha * task)
    torch.testing.assert_close(losses['distill.loss_kl'].detach(), beta * kl)
    torch.testing.assert_close(losses['distill.loss_tat'].detach(), epsilon * tat)
    torch.testing.assert_close(total.detach(), alpha * task + beta * kl + epsilon * tat)


@pytest.mark.parametrize(
    'projections, kernel, learnt',
    [
        ((), 3, 0),
        (('gamma', 'phi'), 3, 2 * (512 * 512 * 9 + 2 * 512)),
        (('gamma', 'phi', 'theta'), 3, 3 * (512 * 512 * 9 + 2 * 512)),
        (('gamma', 'phi'), 1, 2 * (512 * 512 + 2 * 512)),
    ],
)
def test_the_projections_of_the_paper_s_table_4(projections, kernel, learnt):
    (path,) = (p for p in IMAGENET if p.stem.startswith('tat-kl'))
    config = copy.deepcopy(load(path).model)
    config.distiller.distill_losses.loss_tat.update(projections=projections, kernel_size=kernel)
    model = build(config, 'cpu')
    loss = model.distiller.distill_losses['loss_tat']
    assert sum(p.numel() for p in loss.parameters()) == learnt
