import pytest
import torch
from mmrazor.registry import MODELS
from torch import nn

from mmrazor_tat.models import SharedConnectorDistiller


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.bottleneck = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())

    def forward(self, x):
        return self.bottleneck(self.stem(x))


@pytest.fixture
def distiller(tat_distiller):
    tat_distiller.student_recorders = dict(feature=dict(type='PreActivation', source='bottleneck'))
    tat_distiller.teacher_recorders = dict(feature=dict(type='PreActivation', source='bottleneck'))
    for connector in tat_distiller.connectors.values():
        connector.update(in_channel=4, out_channel=4, norm_cfg=dict(type='BN'))
    return MODELS.build(tat_distiller)


def record(distiller):
    student, teacher = Model(), Model()
    distiller.prepare_from_student(student)
    distiller.prepare_from_teacher(teacher)
    x = torch.randn(2, 3, 8, 8)
    with distiller.student_recorders:
        student(x)
    with distiller.teacher_recorders, torch.no_grad():
        teacher(x)


def test_a_connector_runs_once_a_step(distiller):
    norms = [connector.norm for connector in distiller.connectors.values()]
    found = []
    for count in (1, 2):  # nothing of a step is kept for the next one
        record(distiller)
        found.append(distiller.compute_distill_losses())
        assert [norm.num_batches_tracked.item() for norm in norms] == [count] * 3
    assert list(found[0]) == ['loss_patch', 'loss_anchor']
    assert found[0]['loss_patch'] != found[1]['loss_patch']


def test_losses_and_gradients_equal_those_of_connectors_run_anew(distiller):
    from mmrazor.models.distillers.configurable_distiller import ConfigurableDistiller

    record(distiller)
    parameters = list(distiller.connectors.parameters())
    shared = distiller.compute_distill_losses()
    anew = ConfigurableDistiller.compute_distill_losses(distiller)
    torch.testing.assert_close(shared, anew)
    of_shared, of_anew = (
        torch.autograd.grad(sum(losses.values()), parameters) for losses in (shared, anew)
    )
    torch.testing.assert_close(of_shared, of_anew)


def test_a_record_outside_of_a_step_is_fresh(distiller):
    record(distiller)
    arguments = dict(recorder='feature', from_student=True, connector='gamma')
    first = distiller.get_record(**arguments)
    assert distiller.get_record(**arguments) is not first
    assert distiller.get_record('feature', True, connector_idx=0).shape == (4, 8, 8)


def test_a_name_and_a_list_of_one_are_two_records_of_a_step(distiller):
    record(distiller)
    read = []

    def compute_loss(_):
        read.extend(distiller.get_record(name, True) for name in ('feature', ['feature']))

    distiller.compute_loss = compute_loss
    distiller.compute_distill_losses()
    assert isinstance(read[0], torch.Tensor) and read[1][0] is read[0] is read[2]


def test_the_records_of_a_step_are_dropped_after_an_error(distiller):
    record(distiller)
    distiller.distill_losses['loss_anchor'].kernel = 99
    with pytest.raises(ValueError, match='kernel 99'):
        distiller.compute_distill_losses()
    arguments = dict(recorder=['feature'], from_student=True)
    assert distiller.get_record(**arguments) is not distiller.get_record(**arguments)


def reading(who='student', **recorder) -> SharedConnectorDistiller:
    """A distiller with one recorder, which a loss reads."""
    record = dict(recorder='feature', from_student=who == 'student')
    return SharedConnectorDistiller(
        **{f'{who}_recorders': dict(feature=recorder)},
        distill_losses=dict(loss=dict(type='mmrazor.L2Loss')),
        loss_forward_mappings=dict(loss=dict(s_feature=record, t_feature=record)),
    )


@pytest.mark.parametrize('who', ['student', 'teacher'])
@pytest.mark.parametrize(
    'kind, source, nearest',
    [
        ('ModuleOutputs', 'bottlenek', "'bottleneck'"),
        ('ModuleOutputs', 'qqq', "'stem', 'bottleneck'"),
        ('Parameter', 'stem.wieght', "'stem.weight'"),
    ],
)
def test_an_unknown_source_is_named_with_the_nearest(who, kind, source, nearest):
    distiller = reading(who, type=f'mmrazor.{kind}', source=source)
    noun = 'parameter' if kind == 'Parameter' else 'module'
    message = (
        rf"{who}_recorders\['feature'\] has source '{source}', which is no {noun} of the {who}"
    )
    with pytest.raises(ValueError, match=rf'{message} \(Model\). Nearest: {nearest}'):
        getattr(distiller, f'prepare_from_{who}')(Model())


def test_what_no_loss_reads_needs_no_module():
    """A set of feature points serves networks that lack some of them."""
    unread = dict(type='mmrazor.ModuleOutputs', source='qqq')
    distiller = SharedConnectorDistiller(
        student_recorders=dict(stage9=unread), teacher_recorders=dict(stage9=unread)
    )
    distiller.prepare_from_student(Model())
    distiller.prepare_from_teacher(Model())
    assert not distiller.student_recorders.recorders


def test_a_sync_bn_is_no_source():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.SyncBatchNorm(4))
    distiller = reading(type='mmrazor.ModuleOutputs', source='1')
    with pytest.raises(ValueError, match="source '1', a SyncBN: .* the runner replaces it"):
        distiller.prepare_from_student(model)


def test_a_record_that_did_not_fire_is_named(distiller):
    record(distiller)
    distiller.student_recorders.get_recorder('feature').reset_data_buffer()
    with pytest.raises(ValueError, match=r"student_recorders\['feature'\] recorded nothing"):
        distiller.compute_distill_losses()
