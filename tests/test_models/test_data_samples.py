"""How labels and image indices reach a loss: a recorder of the head's loss, in a real step."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.structures import BaseDataElement
from torch import nn


class TinyHead(nn.Module):
    """What mmpretrain's heads have of methods, no more."""

    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))

    def loss(self, x, data_samples):
        target = torch.cat([sample.gt_label for sample in data_samples])
        return dict(loss=F.cross_entropy(self(x), target))


class TinyClassifier(BaseModel):
    """What mmpretrain's ImageClassifier does, no more."""

    def __init__(self, width):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, width, 3, stride=4), nn.ReLU())
        self.head = TinyHead(width)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.backbone(inputs)
        return self.head.loss(x, data_samples) if mode == 'loss' else self.head(x)


def distiller(head_loss, feature, logits):
    """SCKD and CRD as a recipe has them; no width of the networks is named."""
    side = dict(
        feature=dict(type='ModuleOutputs', source=feature),
        logits=dict(type='ModuleOutputs', source=logits),
    )
    samples = dict(recorder='samples', from_student=True, data_idx=1)
    return dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        student_recorders=dict(side, samples=dict(type='MethodInputs', source=head_loss)),
        teacher_recorders=side,
        distill_losses=dict(
            loss_crd=dict(
                type='ContrastiveDistillLoss', num_samples=12, num_negatives=50, loss_weight=0.8
            ),
            loss_sckd=dict(type='SCKDLoss', tau=4.0),
        ),
        loss_forward_mappings=dict(
            loss_crd=dict(
                s_feature=dict(recorder='feature', from_student=True),
                t_feature=dict(recorder='feature', from_student=False),
                data_samples=samples,
            ),
            loss_sckd=dict(
                preds_S=dict(recorder='logits', from_student=True),
                preds_T=dict(recorder='logits', from_student=False),
                data_samples=samples,
            ),
        ),
    )


def model_of(student, teacher, *places):
    return ROOT_MODELS.build(
        dict(
            type='mmrazor.FrozenTeacherDistill',
            architecture=student,
            teacher=teacher,
            distiller=distiller(*places),
            probe_size=(16, 16),
        )
    ).train()


def check_a_step(model, inputs, data_samples, widths):
    """A step of images 7 and 2 of the data set, of the classes 3 and 1."""
    crd = model.distiller.distill_losses['loss_crd']
    assert (crd.s_channels, crd.t_channels) == widths  # from the dry run, without data samples
    assert (crd.log_mu == -torch.inf).all()  # which left no trace in the memories
    before = crd.memory_s.clone()
    losses = model.loss(inputs, data_samples)
    assert losses['student.loss'] > 0 and losses['distill.loss_crd'] > 1
    assert -1 <= losses['distill.sckd_cosine'] <= 1 and losses['distill.sckd_gate'] in (0, 1)

    changed = (crd.memory_s != before).any(1)
    assert changed.nonzero().flatten().tolist() == [2, 7]
    assert crd.classes.tolist() == [-1, -1, 1, -1, -1, -1, -1, 3, -1, -1, -1, -1]

    model.parse_losses(losses)[0].backward()
    assert all(p.grad.abs().sum() > 0 for p in crd.parameters())
    assert all(p.grad is None for p in model.teacher.parameters())
    saved = model.state_dict()
    assert torch.equal(saved['distiller.distill_losses.loss_crd.memory_s'], crd.memory_s)


def test_in_a_step_of_a_stand_in():
    torch.manual_seed(0)
    student, teacher = TinyClassifier(8), TinyClassifier(16)
    model = model_of(student, teacher, f'{__name__}.TinyHead.loss', 'backbone', 'head')
    samples = [
        BaseDataElement(metainfo=dict(sample_idx=index), gt_label=torch.tensor([label]))
        for index, label in ((7, 3), (2, 1))
    ]
    check_a_step(model, torch.randn(2, 3, 16, 16), samples, (8, 16))


def test_student_and_teacher_exchanged_are_noticed_in_the_first_step():
    """Losses give their teacher no gradient: the student would be trained by the labels alone."""
    places = (f'{__name__}.TinyHead.loss', 'backbone', 'head')
    config = distiller(*places)
    for name in ('preds_S', 'preds_T'):
        record = config['loss_forward_mappings']['loss_sckd'][name]
        record['from_student'] = not record['from_student']
    model = ROOT_MODELS.build(
        dict(
            type='mmrazor.FrozenTeacherDistill',
            architecture=TinyClassifier(8),
            teacher=TinyClassifier(16),
            distiller=config,
            probe_size=(16, 16),
        )
    ).train()
    samples = [
        BaseDataElement(metainfo=dict(sample_idx=index), gt_label=torch.tensor([index]))
        for index in (1, 2)
    ]
    with pytest.raises(
        ValueError,
        match=r"distill_losses\['loss_sckd'\] has no gradient, .* of its arguments 'preds_T', "
        r"'data_samples' come from the student .* Were student and teacher exchanged\?",
    ):
        model.loss(torch.randn(2, 3, 16, 16), samples)


def test_the_dry_run_leaves_a_connector_of_what_it_did_not_see_to_its_channels():
    """As before: a record of data samples is no map, and says so by the name of the connector."""
    places = (f'{__name__}.TinyHead.loss', 'backbone', 'head')
    config = distiller(*places)
    config['connectors'] = dict(unread=dict(type='TaTConnector'))
    record = config['loss_forward_mappings']['loss_crd']['data_samples']
    config['loss_forward_mappings']['loss_crd']['data_samples'] = dict(record, connector='unread')
    with pytest.raises(ValueError, match=r"connectors\['unread'\] has no channels"):
        ROOT_MODELS.build(
            dict(
                type='mmrazor.FrozenTeacherDistill',
                architecture=TinyClassifier(8),
                teacher=TinyClassifier(16),
                distiller=config,
                probe_size=(16, 16),
            )
        )


@pytest.mark.mmpretrain
def test_in_a_step_of_mmpretrain_s_classifier():
    """Its own transform, preprocessor, classifier and head; PackInputs as it is by default."""
    from mmengine.registry import init_default_scope
    from mmpretrain.datasets import PackInputs
    from mmpretrain.registry import MODELS

    init_default_scope('mmpretrain')
    torch.manual_seed(0)

    def classifier(base):
        backbone = dict(
            type='ResNet_CIFAR', depth=18, base_channels=base, stem_channels=base, style='pytorch'
        )
        head = dict(
            type='LinearClsHead',
            num_classes=4,
            in_channels=8 * base,
            loss=dict(type='CrossEntropyLoss'),
        )
        return MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=backbone,
                neck=dict(type='GlobalAveragePooling'),
                head=head,
                data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3),
            )
        )

    model = model_of(
        classifier(2), classifier(4), 'mmpretrain.models.LinearClsHead.loss', 'backbone.layer4',
        'head.fc',
    )  # fmt: skip
    pack = PackInputs()
    images = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    packed = [
        pack(dict(img=image, gt_label=label, sample_idx=index))
        for image, (index, label) in zip(images, ((7, 3), (2, 1)))
    ]
    data = {key: [copy.copy(one[key]) for one in packed] for key in packed[0]}
    data = model.data_preprocessor(data, True)
    check_a_step(model, data['inputs'], data['data_samples'], (16, 32))
