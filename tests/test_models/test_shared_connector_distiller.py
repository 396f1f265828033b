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
    calls = dict.fromkeys(distiller.connectors, 0)

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    for name, connector in distiller.connectors.items():
        connector.register_forward_hook(count(name))
    record(distiller)
    first = distiller.compute_distill_losses()
    assert calls == dict(gamma=1, phi=1, theta=1)
    assert {c.norm.num_batches_tracked.item() for c in distiller.connectors.values()} == {1}
    # Nothing of a step is kept for the next one.
    assert list(first) == ['loss_patch', 'loss_anchor']
    record(distiller)
    second = distiller.compute_distill_losses()
    assert calls == dict(gamma=2, phi=2, theta=2)
    assert second['loss_patch'] != first['loss_patch']


def test_losses_and_gradients_equal_those_of_connectors_run_anew(distiller):
    from mmrazor.models.distillers.configurable_distiller import ConfigurableDistiller

    record(distiller)
    parameters = list(distiller.connectors.parameters())
    shared = distiller.compute_distill_losses()
    anew = ConfigurableDistiller.compute_distill_losses(distiller)
    assert shared.keys() == anew.keys()
    for name in shared:
        torch.testing.assert_close(shared[name], anew[name])
    for a, b in zip(
        torch.autograd.grad(sum(shared.values()), parameters),
        torch.autograd.grad(sum(anew.values()), parameters),
    ):
        torch.testing.assert_close(a, b)


def test_a_record_outside_of_a_step_is_fresh(distiller):
    record(distiller)
    arguments = dict(recorder='feature', from_student=True, connector='gamma')
    first = distiller.get_record(**arguments)
    assert distiller.get_record(**arguments) is not first
    assert distiller.get_record('feature', True, connector_idx=0).shape == (4, 8, 8)


def test_a_name_and_a_list_of_one_are_two_records(distiller):
    record(distiller)
    distiller._records_of_step = {}
    one = distiller.get_record('feature', True)
    (of_list,) = distiller.get_record(['feature'], True)
    assert isinstance(one, torch.Tensor) and of_list is one


def test_the_records_of_a_step_are_dropped_after_an_error(distiller):
    record(distiller)
    distiller.distill_losses['loss_anchor'].kernel = 99
    with pytest.raises(ValueError, match='kernel 99'):
        distiller.compute_distill_losses()
    assert distiller._records_of_step is None


def reading(who='student', **recorder) -> SharedConnectorDistiller:
    """A distiller with one recorder, which a loss reads."""
    records = dict.fromkeys(
        ('s_feature', 't_feature'), dict(recorder='feature', from_student=who == 'student')
    )
    return SharedConnectorDistiller(
        **{f'{who}_recorders': dict(feature=recorder)},
        distill_losses=dict(loss=dict(type='mmrazor.L2Loss')),
        loss_forward_mappings=dict(loss=records),
    )


@pytest.mark.parametrize('who', ['student', 'teacher'])
@pytest.mark.parametrize(
    'source, nearest',
    [('bottlenek', "Nearest: 'bottleneck'"), ('qqq', "Nearest: 'stem', 'bottleneck'")],
)
def test_an_unknown_source_is_named_with_the_nearest_modules(who, source, nearest):
    distiller = reading(who, type='mmrazor.ModuleOutputs', source=source)
    with pytest.raises(ValueError) as error:
        getattr(distiller, f'prepare_from_{who}')(Model())
    text = str(error.value)
    assert f"{who}_recorders['feature'] has source {source!r}" in text
    assert f'no module of the {who} (Model)' in text
    assert nearest in text


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


def test_an_unknown_parameter_is_named():
    distiller = reading(type='mmrazor.Parameter', source='stem.wieght')
    with pytest.raises(ValueError, match="no parameter of the student.*'stem.weight'"):
        distiller.prepare_from_student(Model())
