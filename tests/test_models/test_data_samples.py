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


def record(recorder, from_student=True, **settings):
    return dict(recorder=recorder, from_student=from_student, **settings)


def distiller(head_loss, feature, logits):
    """SCKD and CRD as a recipe has them; no width of the networks is named."""
    side = dict(
        feature=dict(type='ModuleOutputs', source=feature),
        logits=dict(type='ModuleOutputs', source=logits),
    )
    crd = dict(type='ContrastiveDistillLoss', num_samples=12, num_negatives=50, loss_weight=0.8)
    samples = record('samples', data_idx=1)
    return dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        student_recorders=dict(side, samples=dict(type='MethodInputs', source=head_loss)),
        teacher_recorders=side,
        distill_losses=dict(loss_crd=crd, loss_sckd=dict(type='SCKDLoss', tau=4.0)),
        loss_forward_mappings=dict(
            loss_crd=dict(
                s_feature=record('feature'),
                t_feature=record('feature', from_student=False),
                data_samples=samples,
            ),
            loss_sckd=dict(
                preds_S=record('logits'),
                preds_T=record('logits', from_student=False),
                data_samples=samples,
            ),
        ),
    )


def model_of(student, teacher, distiller):
    torch.manual_seed(0)
    networks = dict(architecture=student, teacher=teacher, distiller=distiller)
    algorithm = dict(type='mmrazor.FrozenTeacherDistill', probe_size=(16, 16), **networks)
    return ROOT_MODELS.build(algorithm).train()


@pytest.fixture
def stand_in():
    """(student, teacher, distiller) of the stand-ins, and a batch of two images."""
    places = (f'{__name__}.TinyHead.loss', 'backbone', 'head')
    samples = [
        BaseDataElement(metainfo=dict(sample_idx=index), gt_label=torch.tensor([label]))
        for index, label in ((7, 3), (2, 1))
    ]
    torch.manual_seed(0)
    parts = TinyClassifier(8), TinyClassifier(16), distiller(*places)
    return parts, (torch.randn(2, 3, 16, 16), samples)


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


def test_in_a_step_of_a_stand_in(stand_in):
    parts, batch = stand_in
    check_a_step(model_of(*parts), *batch, (8, 16))


def test_student_and_teacher_exchanged_are_noticed_in_the_first_step(stand_in):
    """Losses give their teacher no gradient: the student would be trained by the labels alone."""
    parts, batch = stand_in
    reads = parts[-1]['loss_forward_mappings']['loss_sckd']
    reads.update(preds_S=reads['preds_T'], preds_T=reads['preds_S'])
    with pytest.raises(
        ValueError,
        match=r"distill_losses\['loss_sckd'\] has no gradient, .* of its arguments 'preds_T', "
        r"'data_samples' come from the student .* Were student and teacher exchanged\?",
    ):
        model_of(*parts).loss(*batch)


def test_the_dry_run_leaves_a_connector_of_what_it_did_not_see_to_its_channels(stand_in):
    """A record of data samples is no map, and says so by the name of the connector."""
    parts, _ = stand_in
    parts[-1]['connectors'] = dict(unread=dict(type='TaTConnector'))
    samples = record('samples', data_idx=1, connector='unread')
    parts[-1]['loss_forward_mappings']['loss_crd']['data_samples'] = samples
    with pytest.raises(ValueError, match=r"connectors\['unread'\] has no channels"):
        model_of(*parts)


@pytest.mark.mmpretrain
def test_in_a_step_of_mmpretrain_s_classifier():
    """Its own transform, preprocessor, classifier and head; PackInputs as it is by default."""
    from mmengine.registry import init_default_scope
    from mmpretrain.datasets import PackInputs
    from mmpretrain.registry import MODELS

    init_default_scope('mmpretrain')
    torch.manual_seed(0)

    def classifier(base):
        backbone = dict(type='ResNet_CIFAR', depth=18, base_channels=base, stem_channels=base)
        loss = dict(type='CrossEntropyLoss')
        return MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=dict(backbone, style='pytorch'),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=4, in_channels=8 * base, loss=loss),
                data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3),
            )
        )

    places = ('mmpretrain.models.LinearClsHead.loss', 'backbone.layer4', 'head.fc')
    model = model_of(classifier(2), classifier(4), distiller(*places))
    pack = PackInputs()
    images = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    packed = [
        pack(dict(img=image, gt_label=label, sample_idx=index))
        for image, (index, label) in zip(images, ((7, 3), (2, 1)))
    ]
    data = {key: [copy.copy(one[key]) for one in packed] for key in packed[0]}
    data = model.data_preprocessor(data, True)
    check_a_step(model, data['inputs'], data['data_samples'], (16, 32))
