"""Planted faults are the first finding; a healthy pair has none."""

import contextlib
import math
from collections.abc import Sequence
from typing import Union

import pandas as pd
import pytest
import torch
from fixtures.networks import NETWORKS, resnet
from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from mmrazor.registry import MODELS, TASK_UTILS
from torch import nn

from mmrazor_tat.datasets.toy_cifar import write_toy_cifar
from mmrazor_tat.datasets.toy_scenes import CLASSES as TOY_CLASSES
from mmrazor_tat.diagnosis import Subject, diagnose
from mmrazor_tat.diagnosis.diagnose import CHECKS
from mmrazor_tat.diagnosis.scores import NotCheckedError
from mmrazor_tat.diagnosis.training import check_gain
from mmrazor_tat.recipes import new_recipe
from mmrazor_tat.utils.config_options import read_config
from mmrazor_tat.utils.networks import initial_weights
from mmrazor_tat.visualization.curves import Run

LOSS = 'model.distiller.distill_losses.'
POINT = 'model.distiller.{}_recorders.feature.'


@TASK_UTILS.register_module()
class TurnedOutputsRecorder(ModuleOutputsRecorder):
    """What a module gives, turned."""

    def __init__(self, turn: str, **kwargs) -> None:
        super().__init__(**kwargs)
        self.turn = turn

    def get_record_data(self, *args, **kwargs):
        x = super().get_record_data(*args, **kwargs)
        return x.flip(-1) if self.turn == 'mirror' else x.transpose(-1, -2).contiguous()


@MODELS.register_module()
class ContraryLoss(nn.Module):
    """Away from what the teacher says."""

    def forward(self, preds_S, preds_T):  # noqa: N803
        return -nn.functional.cross_entropy(preds_S, preds_T.argmax(1)).clamp(max=20)


def first(subject: Subject) -> str:
    """The first finding: that of the first check that has one."""
    for check in CHECKS:
        with contextlib.suppress(NotCheckedError):
            for found in check(subject):
                assert found.measured and found.expected and found.remedy
                return found.cause
    return 'nothing'


def cycled(weights) -> None:  # class 1 is called 2, 2 is called 3, 3 is called 1
    for name in ('decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'):
        weights[name] = weights[name][[0, 3, 1, 2, 4, 5, 6]]


def random(weights) -> None:
    torch.manual_seed(0)
    for x in weights.values():
        if x.dim() == 4:
            torch.nn.init.kaiming_normal_(x)


def silent(weights) -> None:
    weights['decode_head.conv_seg.weight'].zero_()


def dead_branch(weights) -> None:
    weights['decode_head.aspp_modules.2.bn.weight'].zero_()
    weights['decode_head.aspp_modules.2.bn.bias'].fill_(-1.0)


def not_finite(weights) -> None:
    weights['decode_head.aspp_modules.2.bn.bias'].fill_(float('nan'))


CLASSES = ('background', 'disc', 'square', 'triangle', 'ring', 'cross', 'stripes')
BN = {f'model.architecture.{part}.norm_cfg.type': 'BN' for part in ('backbone', 'decode_head')}
FAULTS = {
    # The teacher, its classes and its input.
    'classes': (dict(change=cycled), {}, 'numbers the classes otherwise'),
    'one too high': (
        {},
        {
            'train_dataloader.dataset.reduce_zero_label': True,
            'val_dataloader.dataset.reduce_zero_label': True,
        },
        'numbers the classes otherwise',
    ),
    'names': (
        dict(dataset_meta=dict(classes=CLASSES[::-1])),
        {},
        'differ in classes',
    ),
    'reduce_zero_label': (
        dict(dataset_meta=dict(reduce_zero_label=True)),
        {},
        'differ in reduce_zero_label',
    ),
    'ignored': (
        {},
        {'val_evaluator.ignore_index': 0},
        'ignore different labels',
    ),
    'values to 255': (
        {},
        {
            'model.teacher.data_preprocessor.mean': [0.0, 0.0, 0.0],
            'model.teacher.data_preprocessor.std': [1.0, 1.0, 1.0],
        },
        'used to other images',
    ),
    'values to 1': (
        {},
        {
            'model.teacher.data_preprocessor.mean': [0.0, 0.0, 0.0],
            'model.teacher.data_preprocessor.std': [255.0, 255.0, 255.0],
        },
        'used to other images',
    ),
    'half the size': (
        {},
        {'val_dataloader.dataset.pipeline.1.scale': (128, 32)},
        'used to other images',
    ),
    'random teacher': (dict(change=random), {}, 'knows next to nothing'),
    'silent teacher': (dict(change=silent), {}, 'knows next to nothing'),
    # The maps.
    'dead branch': (
        dict(change=dead_branch),
        {
            POINT.format('teacher') + 'type': 'ModuleOutputs',
            POINT.format('teacher') + 'source': 'decode_head.aspp_modules.2',
        },
        'mostly dead',
    ),
    'mirrored': (
        {},
        {
            POINT.format('teacher') + 'type': 'TurnedOutputs',
            POINT.format('teacher') + 'turn': 'mirror',
            POINT.format('teacher') + 'source': 'decode_head.bottleneck.conv',
        },
        'left and right exchanged',
    ),
    'rows for columns': (
        {},
        {
            POINT.format('teacher') + 'type': 'TurnedOutputs',
            POINT.format('teacher') + 'turn': 'transpose',
            POINT.format('teacher') + 'source': 'decode_head.bottleneck.conv',
        },
        'rows and columns exchanged',
    ),
    # Where the gradient goes.
    'frozen below': (
        {},
        {
            'model.architecture.backbone.frozen_stages': 4,
            POINT.format('student') + 'type': 'ModuleOutputs',
            POINT.format('student') + 'source': 'backbone.layer4',
        },
        'reaches no weight',
    ),
    'frozen at random': (
        {},
        {'model.architecture.backbone.frozen_stages': 3},
        'frozen with random weights',
    ),
    # The losses.
    'no scale': ({}, {LOSS + 'loss_tat.scale': 1.0}, 'nearly one-hot'),
    'cold': ('kd', {LOSS + 'loss_kd.tau': 0.01}, 'nearly one-hot'),
    'cold channels': ('cwd', {LOSS + 'loss_cwd.tau': 0.01}, 'nearly one-hot'),
    'hot': ('kd', {LOSS + 'loss_kd.tau': 500.0}, 'are flat'),
    'over the student': (
        {},
        {LOSS + 'loss_tat.softmax_over': 'student'},
        'without looking at the image',
    ),
    'drowned': ('at', {LOSS + 'loss_at.loss_weight': 1e8}, 'drowns the labels'),
    'too light': ('fitnet', {LOSS + 'loss_fitnet.loss_weight': 1e-6}, 'next to nothing'),
    'no weight': ({}, {LOSS + 'loss_tat.loss_weight': 0.0}, 'loss_tat weighs next to nothing'),
    'contrary': (
        'kd',
        {LOSS + 'loss_kd': dict(_delete_=True, type='ContraryLoss')},
        'pulls against the labels',
    ),
    'switched off': (
        {},
        {
            'default_hooks.schedule': dict(
                type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(stop=1))
            )
        },
        'next to nothing',
    ),
    'an endless warm-up': (
        {},
        {
            'default_hooks.schedule': dict(
                type='mmrazor.LossScheduleHook', schedules=dict(loss_tat=dict(warmup=100_000))
            )
        },
        'next to nothing',
    ),
    'beside a quiet one': ('tat-kd', {LOSS + 'loss_kd.loss_weight': 1e5}, 'loss_kd drowns'),
    'weight 0': ('fitnet', {LOSS + 'loss_fitnet.loss_weight': 0.0}, 'next to nothing'),
    'labels 0': (
        {},
        {'model.architecture.decode_head.loss_decode.loss_weight': 0.0},
        'the labels have no gradient',
    ),
    'names of mmseg 0.x': (dict(CLASSES=CLASSES[::-1]), {}, 'differ in classes'),
    'classes of the training': (
        {},
        {'train_dataloader.dataset.metainfo': dict(classes=CLASSES[::-1])},
        'training data and validation data differ in classes',
    ),
    'zero labels of the training': (
        {},
        {'train_dataloader.dataset.reduce_zero_label': True},
        'training data and validation data differ in reduce_zero_label',
    ),
    'nine outputs': (
        {},
        {'model.architecture.decode_head.num_classes': 9},
        'another number of classes',
    ),
    'no learning rate': ({}, {'optim_wrapper.optimizer.lr': 0.0}, 'no weight of the student'),
    'read at rest': (
        {},
        {
            'optim_wrapper.paramwise_cfg': dict(custom_keys=dict(backbone=dict(lr_mult=0.0))),
            POINT.format('student') + 'type': 'ModuleOutputs',
            POINT.format('student') + 'source': 'backbone.layer4',
        },
        'reaches no weight',
    ),
    'a backbone at rest': (
        {},
        {'optim_wrapper.paramwise_cfg': dict(custom_keys=dict(backbone=dict(lr_mult=0.0)))},
        'frozen with random weights',
    ),
    'unlabelled': (
        {},
        {
            'train_dataloader.dataset.pipeline': [
                dict(type='LoadImageFromFile'),
                dict(type='PackSegInputs'),
            ]
        },
        'a training step ends with an error',
    ),
    'a class is ignored': (
        {},
        {'model.architecture.decode_head.ignore_index': 0},
        'ignore different labels',
    ),
    'one image': ({}, {'train_dataloader.batch_size': 1}, 'a training step ends with an error'),
    'few images': ({}, {**BN, 'train_dataloader.batch_size': 2}, 'hardly any values'),
}


QUICK = ('classes', 'values to 255', 'dead branch', 'mirrored', 'frozen below', 'no scale')
QUICK += ('over the student', 'drowned', 'no weight', 'switched off', 'contrary')


@pytest.mark.parametrize(
    'fault', [pytest.param(of, marks=[] if of in QUICK else pytest.mark.slow) for of in FAULTS]
)
def test_a_planted_fault_is_the_first_finding(recipe, teacher, fault):
    change, options, cause = FAULTS[fault]
    method, change = (change, {}) if isinstance(change, str) else ('tat', change)
    cfg = recipe(method, teacher(**change), **options)
    assert cause in first(Subject(cfg, num_images=8, num_batches=3))


def test_a_dead_student(recipe, tmp_path):
    norm = 'architecture.decode_head.bottleneck.bn.'
    weights = {norm + name: torch.zeros(32) for name in ('weight', 'bias')}
    torch.save(dict(state_dict=weights), tmp_path / 'dead.pth')
    cfg = recipe(load_from=str(tmp_path / 'dead.pth'))
    assert "the student's 'feature'" in first(Subject(cfg, num_images=8, num_batches=2))


def test_a_teacher_that_is_no_better(recipe, teacher):
    cfg = recipe()
    init = dict(type='Pretrained', checkpoint=teacher())
    cfg.model.architecture = {**cfg.model.teacher, 'init_cfg': init}
    assert 'hardly better than the student' in first(Subject(cfg, num_images=8, num_batches=2))


def logged(
    validation: list,
    labels: Union[float, list] = 1.0,
    loss: Sequence[float] = (4, 3, 2, 1),
    distill: Sequence[float] = (3, 2, 1, 0),
    factor: Union[float, list] = 1.0,
) -> Run:
    steps = [100 * (n + 1) for n in range(len(validation))]
    losses = {'decode.loss_ce': labels, 'student.decode.loss_ce': labels, 'loss': loss}
    losses |= {'distill.loss_fitnet': distill, 'factor/fitnet': factor}
    return Run(
        'run',
        training=pd.DataFrame(losses, index=steps),
        validation=pd.DataFrame({'mIoU': validation}, index=steps),
    )


@pytest.mark.parametrize(
    ('run', 'cause'),
    [
        (logged([20, 40, 60, 50]), 'better before the end'),
        (logged([20, 30, 40, 60]), 'while the student still learns'),
        (logged([20, 40, 50, 51], 2.0), 'the labels were drowned'),
        (logged([20, 40, 50, 51], 1.1), 'nothing'),
        (logged([20, 40, 50, 51], 1.1, [1.0, 2.0, 8.0, math.nan]), 'the training diverges'),
        (logged([20, 40, 50, 51], [1.0, 3.0, 5.0, 9.0]), 'the training diverges'),
        (logged([20, 40, 50, 51], 1.0, distill=[3, 40, 4e3, 1e6]), 'the training diverges'),
        # A schedule warms the distillation up.
        (
            logged([20, 40, 50, 51], 1.0, distill=[0.5, 2, 4, 6], factor=[0.1, 0.4, 0.8, 1]),
            'nothing',
        ),
    ],
)
def test_the_log_of_a_run(recipe, run, cause):
    subject = Subject(recipe('fitnet'), num_images=8, num_batches=2)
    subject.run, subject.plain_run = run, logged([20, 40, 50, 51])
    assert cause in first(subject)


# Student and method; the maps are of the teacher's size, so TaT's softmax runs over the teacher.
DENSE = dict(NETWORKS['mobilenet']['backbone'], strides=(1, 2, 1, 1, 1, 1, 1))
HEALTHY = {
    'resnet, deeplabv3': (dict(NETWORKS['deeplabv3'], backbone=resnet(4, (1, 1, 1, 1))), 'tat'),
    'resnet, deeplabv3plus': (NETWORKS['deeplabv3plus'], 'tat'),
    'mobilenet, deeplabv3': (dict(NETWORKS['mobilenet'], backbone=DENSE), 'tat-cwd'),
    'mit, segformer': (NETWORKS['segformer_small'], 'cwd'),
    'swin, upernet': (NETWORKS['upernet_swin'], 'tat'),
    'resnet, upernet': (NETWORKS['upernet_resnet'], 'fitnet'),
    'resnet, fcn': (dict(NETWORKS['fcn'], backbone=resnet(4, (1, 1, 1, 1))), 'kd'),
}


@pytest.mark.parametrize(
    ('student', 'method'),
    [
        pytest.param(*pair, id=name, marks=[] if 'fcn' in name else pytest.mark.slow)
        for name, pair in HEALTHY.items()
    ],
)
def test_a_healthy_pair_is_not_accused(repo, scenes, teacher, tmp_path, student, method):
    (tmp_path / 'student.py').write_text(
        f'_base_ = {str(repo / "configs/small/demo/student.py")!r}\n'
        f'model = dict(_delete_=True, **{student!r})\n'
    )
    new_recipe(
        str(repo / 'configs/small/demo/teacher.py'),
        str(tmp_path / 'student.py'),
        tmp_path / 'recipe.py',
        method,
        teacher_ckpt=teacher(),
    )
    found = diagnose(Subject(read_config(str(tmp_path / 'recipe.py'), {'data_root': str(scenes)})))
    assert [finding.cause for finding in found.findings] == []
    assert len(found.passed) >= 10


@pytest.mark.parametrize(
    'method', ['ofd', *(pytest.param(of, marks=pytest.mark.slow) for of in ('at', 'cwd', 'tat-kd'))]
)
def test_a_shipped_recipe_is_not_accused(recipe, method):
    """Nor Overhaul's, whose maps before an activation have nothing below 0 as a training begins."""
    found = diagnose(Subject(recipe(method)))
    assert [finding.cause for finding in found.findings] == []


def test_what_differs_in_name_alone_is_no_fault(recipe, teacher):
    """And SyncBN is judged by all the images that the recipe is meant for."""
    names = ('BACKGROUND', *TOY_CLASSES[1:])
    cfg = recipe('fitnet', teacher(dataset_meta=dict(classes=names)))
    cfg.train_dataloader.batch_size = 2
    cfg.auto_scale_lr = dict(base_batch_size=16)
    assert first(Subject(cfg, num_images=8, num_batches=3)) == 'nothing'


def test_a_check_that_fails_costs_one_question(recipe, monkeypatch):
    subject = Subject(recipe('fitnet'), num_images=8, num_batches=2)
    subject.gradients = None
    found = diagnose(subject)
    assert not found.findings and len(found.passed) > 8
    assert any('it ended with TypeError' in why for why in found.not_checked.values())


def test_a_run_that_did_not_gain(recipe, tmp_path):
    """The symptom is said, with both scores, where there is no cause."""
    cfg = recipe('fitnet')
    weights = Subject(cfg, num_images=8, num_batches=1).model.state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'run.pth')
    plain = Subject(cfg, num_images=8, num_batches=1).model.student
    subject = Subject(cfg, str(tmp_path / 'run.pth'), plain, num_images=8, num_batches=2)
    causes = [found.cause for found in diagnose(subject).findings]
    assert 'the student has learnt next to nothing yet' in causes
    assert causes[-1] == 'the distilled student is no better than the plain one'
    # The logs know more than a few images.
    subject.run, subject.plain_run = logged([20, 40, 50, 51]), logged([20, 30, 40, 41])
    assert [*check_gain(subject)] == []


@pytest.mark.mmpretrain
@pytest.mark.parametrize('method', ['kd', 'tat', 'review-kd'])
def test_a_classification(repo, tmp_path, method):
    """The whole tool's checks; a teacher of random weights is found, and nothing is made up."""
    write_toy_cifar(tmp_path / 'data', num_train=120, num_test=60)
    demo = repo / 'configs/small/demo_cifar'
    ckpt = initial_weights(read_config(str(demo / 'teacher.py'), {}), tmp_path / 't.pth', seed=0)
    data = {'data_root': str(tmp_path / 'data'), 'train_dataloader.batch_size': 8}
    options = {**data, 'model.teacher_ckpt': ckpt}
    cfg = read_config(str(demo / f'{method}_student.py'), options)
    found = diagnose(Subject(cfg, num_images=60, num_batches=3))
    causes = [finding.cause for finding in found.findings]
    assert causes[0] == 'the teacher knows next to nothing of the validation data'
    assert all('flat' in cause for cause in causes[1:])  # its logits say nothing
    assert not any('ended with' in why for why in found.not_checked.values())
    assert 0 <= found.measured['teacher']['score'] < 20
