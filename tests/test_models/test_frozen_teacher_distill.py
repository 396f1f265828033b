"""The algorithm on small networks: what learns, what is checked first, what a checkpoint holds."""

import copy
import dataclasses

import pytest
import torch
from mmengine import Config
from mmengine.logging import MessageHub
from mmseg.registry import MODELS
from torch import nn

from mmrazor_tat.models.teacher.identity import TeacherIdentity


@pytest.fixture
def build(algorithm, tat_distiller):
    """Of the recipes' composed form."""

    def build(distiller=tat_distiller, **settings):
        return algorithm(distiller, **settings)

    return build


@pytest.fixture
def lean(lean_distiller):
    """The recipes' own distiller: one loss, which owns its projections."""
    lean_distiller.distill_losses.loss_tat.lean = True  # also on a map of 8 x 8
    return lean_distiller


@pytest.fixture
def alone(segmentor):
    """A function that loads the teacher of a checkpoint; gives its feature of some inputs."""

    def run(ckpt, inputs, training):
        network, features = MODELS.build(segmentor(16)), []
        network.load_state_dict(torch.load(ckpt)['state_dict'])
        network.decode_head.bottleneck.bn.register_forward_hook(
            lambda module, inputs, output: features.append(output.clone())
        )
        with torch.no_grad():
            network.train(training)(inputs, mode='tensor')
        return features[0]

    return run


def step(model, batch):
    """The losses of a step, whose gradients are there."""
    torch.manual_seed(0)  # of the student's dropout
    losses = model.loss(*batch)
    model.parse_losses(losses)[0].backward()
    return losses


def gradients(network):
    return [p.grad for p in network.parameters() if p.grad is not None]


def weights_of(model):
    return torch.load(model.teacher_ckpt)['state_dict']


class TestTeacher:
    def test_a_step_trains_the_student_and_the_distiller_alone(self, build, batch):
        """The teacher: no gradient, no graph, no dropout, no loss and no auxiliary head."""
        model, ran = build().train(), {}
        assert model.student.training and not any(m.training for m in model.teacher.modules())
        for name, module in model.teacher.named_modules():
            module.register_forward_hook(
                lambda *_, name=name: ran.update({name.split('.')[0]: torch.is_grad_enabled()})
            )
        model.teacher.decode_head.loss = None  # would fail if it were called
        before = copy.deepcopy([model.state_dict(), model.teacher.state_dict()])
        step(model, batch())
        assert ran.keys() >= {'backbone', 'decode_head'} and 'auxiliary_head' not in ran
        assert not any(ran.values())
        assert not any(p.requires_grad for p in model.teacher.parameters())
        assert all(p.grad is not None for p in model.distiller.parameters())
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        after = [model.state_dict(), model.teacher.state_dict()]
        changed = {
            k.split('.')[0]
            for old, new in zip(before, after)
            for k, v in new.items()
            if not torch.equal(v, old[k])
        }
        assert changed == {'architecture', 'distiller'}

    @pytest.mark.parametrize('mode', ['eval', 'bn_train'])
    def test_its_features_are_those_of_the_checkpoint(self, build, batch, alone, mode):
        """With bn_train those of a network in training; the running statistics stay."""
        model = build(teacher_mode=mode, fold_teacher=False).train()
        inputs, samples = batch()
        model.loss(inputs, samples)
        expected = alone(model.teacher_ckpt, inputs, training=mode == 'bn_train')
        torch.testing.assert_close(model.distiller.raw_record('feature', False), expected)
        saved = weights_of(model)
        assert all(torch.equal(x, saved[k]) for k, x in model.teacher.state_dict().items())
        assert not any(module.training for module in model.teacher.modules())

    def test_bn_train_of_a_single_image(self, build, batch, alone):
        """In eval mode it will do, and the running statistics are taken."""
        model = build(teacher_mode='bn_train').train()
        with pytest.raises(
            ValueError, match="teacher_mode='bn_train': a batch norm of the teacher has a single"
        ):
            model.loss(*batch(1))
        inputs, _ = batch(1)
        model.eval().record(inputs)
        expected = alone(model.teacher_ckpt, inputs, training=False)
        torch.testing.assert_close(model.distiller.raw_record('feature', False), expected)

    def test_without_weights_it_is_built_but_does_not_teach(self, build, segmentor, batch):
        model = build(teacher_ckpt=None)
        for call in (model.init_weights, lambda: model.loss(*batch())):
            with pytest.raises(ValueError, match='teacher_ckpt is None: a teacher with random'):
                call()
        assert len(model.forward(batch()[0], mode='tensor')) == 2
        built = build(teacher=MODELS.build(segmentor(16)), teacher_ckpt=None)
        assert built.loss(*batch())  # a built one is its builder's to load,
        assert 'teacher_identity' not in built.state_dict()  # and has no file to name

    def test_record_runs_both_and_computes_no_loss(self, build, batch):
        model = build().train()
        distiller = model.distiller
        model.student.loss = model.teacher.loss = distiller.compute_loss = None
        inputs, samples = batch()
        outputs = model.record(inputs, samples)
        maps = [distiller.raw_record('feature', student) for student in (True, False)]
        assert [tuple(x.shape) for x in maps] == [(2, 16, 8, 8), (2, 32, 8, 8)]
        assert [x.requires_grad for x in maps] == [True, False]
        assert all(x.min() < 0 for x in maps)  # before the ReLU
        with torch.no_grad():
            again = model.eval().record(inputs, samples)
            assert torch.equal(again, model.student(inputs, samples, mode='tensor'))
        assert outputs.shape == again.shape
        assert not distiller.raw_record('feature', True).requires_grad
        torch.testing.assert_close(distiller.raw_record('feature', False), maps[1])
        distiller.reset_records()
        assert not any(distiller.has_recorded('feature', student) for student in (True, False))

    def test_a_record_of_frozen_stages_is_pointed_out_once(
        self, build, tat_distiller, segmentor, batch, told
    ):
        tat_distiller.student_recorders.feature.source = 'backbone.layer4.1.relu'
        student = segmentor(8)
        student.backbone.frozen_stages = 4
        model = build(architecture=student).train()
        model.loss(*batch())
        model.loss(*batch())
        assert told.text.count("reads 'backbone.layer4.1.relu', which depends on no weight") == 1

    def test_a_checkpoint_with_code_needs_a_word(self, build, segmentor, save_weights, tmp_path):
        teacher, path = segmentor(16), str(tmp_path / 'own.pth')
        torch.save(dict(torch.load(save_weights(teacher)), extra=nn.Identity()), path)
        with pytest.raises(ValueError, match='model.trust_teacher_ckpt=True'):
            build(teacher=teacher, teacher_ckpt=path)
        assert build(teacher=teacher, teacher_ckpt=path, trust_teacher_ckpt=True).teacher_is_loaded


class TestCheckpoint:
    def test_it_names_the_teacher_and_leaves_its_weights_out(self, build):
        model = build()
        model.init_weights()  # which leaves the teacher alone
        content = model.state_dict()
        parts = {key.split('.')[0] for key in content}
        assert parts == {'architecture', 'distiller', 'teacher_identity'}
        students = {k.removeprefix('architecture.') for k in content if k.startswith('arch')}
        assert students == model.student.state_dict().keys()
        identity = TeacherIdentity.from_tensor(content['teacher_identity'])
        assert identity.checkpoint == model.teacher_ckpt
        alike = build(fold_teacher=False).teacher
        alike.load_state_dict(weights_of(model))
        assert identity.sha256 == TeacherIdentity.of(alike, '').sha256
        alike.backbone.layer1[0].bn1.running_var[0] += 1e-6
        assert identity.sha256 != TeacherIdentity.of(alike, '').sha256

    def test_one_that_is_loaded_brings_no_other_teacher(self, build, told):
        """Neither an older one, which holds its teacher's weights, nor one that names another."""
        model, other = build(), build(fold_teacher=False)
        before = copy.deepcopy(model.teacher.state_dict())
        for parameter in [*other.teacher.parameters(), *other.student.parameters()]:
            parameter.data.add_(1)
        other.teacher_identity = None
        with_weights = other.state_dict()
        assert any(key.startswith('teacher.') for key in with_weights)
        other.teacher_identity = TeacherIdentity.of(other.teacher, 'another.pth')
        for count, content in enumerate((with_weights, other.state_dict()), start=1):
            model.load_state_dict(content)
            assert told.text.count('another teacher than teacher_ckpt') == count
        assert "another.pth' (sha256 " in told.text
        model.load_state_dict(model.state_dict())
        assert told.text.count('another teacher than teacher_ckpt') == 2
        assert all(torch.equal(x, before[k]) for k, x in model.teacher.state_dict().items())
        assert all(map(torch.equal, model.student.parameters(), other.student.parameters()))
        # Without a teacher_ckpt (tools/test.py) an older checkpoint's own is taken.
        bare = build(teacher_ckpt=None)
        bare.load_state_dict(with_weights)
        assert torch.equal(next(bare.teacher.parameters()), next(other.teacher.parameters()))
        bare.load_state_dict(other.state_dict())  # one that only names it

    def test_of_a_copy(self, build):
        """mmengine's EMAHook copies the model, and swaps the two state_dicts."""
        model = build()
        twin = copy.deepcopy(model)
        for parameter in twin.student.parameters():
            parameter.data.add_(1)
        twin.load_state_dict(model.state_dict())
        assert all(map(torch.equal, twin.student.parameters(), model.student.parameters()))
        assert twin.state_dict().keys() == model.state_dict().keys()

    def test_a_resumed_run_keeps_its_teacher(self, build, batch, monkeypatch):
        """With load_from, before the first iteration, another one is a choice."""
        model = build()
        content = model.state_dict()
        other = dataclasses.replace(model.teacher_identity, sha256='0' * 64)
        content['teacher_identity'] = other.to_tensor()
        hub = MessageHub.get_current_instance()
        monkeypatch.setitem(hub.runtime_info, 'iter', 3)
        model.load_state_dict(content)
        with pytest.raises(ValueError, match=r'(?s)sha256 .* that is resumed: .*0000'):
            model.loss(*batch())
        for iteration in (0, 1):
            hub.update_info('iter', iteration)
            model.loss(*batch())


class TestLoss:
    TAT = {'distill.loss_patch', 'distill.loss_anchor'}

    def test_names_and_values(self, build, batch):
        model = build().train()
        losses = model.loss(*batch())
        own = {f'student.{k}' for k in ('decode.loss_ce', 'aux.loss_ce')}
        assert losses.keys() - {'student.decode.acc_seg', 'student.aux.acc_seg'} == own | self.TAT
        total, _ = model.parse_losses(losses)
        torch.testing.assert_close(total, sum(losses[name] for name in own | self.TAT))
        assert all(losses[name] > 0 for name in self.TAT)

    def test_the_student_alone_when_distillation_is_stopped(self, build, batch):
        model = build().train()
        model.distillation_stopped = True
        model.teacher.forward = None  # would fail if it were called
        losses = model.loss(*batch())
        total = sum(losses[name] for name in self.TAT)
        assert total == 0
        # Zero gradients, not none: DistributedDataParallel waits for them.
        total.backward()
        assert all((p.grad == 0).all() for p in model.distiller.parameters())

    @pytest.mark.parametrize('shape, count', [((32, 32), 1), ((33, 64), 0)])
    def test_images_that_are_mostly_padding_are_pointed_out_once(
        self, build, batch, told, shape, count
    ):
        """Here without the student's own loss."""
        model = build(calculate_student_loss=False).train()
        inputs, samples = batch()
        for sample in samples:
            sample.set_metainfo(dict(img_shape=shape))
        assert model.loss(inputs, samples).keys() == self.TAT
        model.loss(inputs, samples)
        assert told.text.count('are padded to 64 x 64: more than half') == count
        assert ('images of [(32, 32)] are' in told.text) == (count == 1)


FEATURE, AUXILIARY = 'decode_head.bottleneck.activate', 'auxiliary_head.convs.0.activate'
SOURCE = 'teacher_recorders.feature.source'
STUDENT_ALONE = dict(_delete_=True, s_feature=dict(recorder='feature', from_student=True))
TUPLE = r'takes a map \(B, C, H, W\), got a tuple of shape \(1, 16, 8, 8\); data_idx=0'
BOTH_RECORDS = (
    r'(?s)s_value has 24 channels, t_feature has 32.*'
    rf"  s_value: student_recorders\['feature'\] from '{FEATURE}', shape \(1, 16, 8, 8\), through "
    rf"connector 'phi'\n.*  t_feature: teacher_recorders\['feature'\] .*, shape \(1, 32, 8, 8\)$"
)
MISFITS = [
    ('distill_losses.loss_patch.grid', (16, 16), r"\['loss_patch'\] does not fit .*8 x 8: a grid"),
    # Its softmax is constant: gamma and theta would never learn, and nothing would tell.
    ('distill_losses.loss_anchor.kernel', 8, r"\['loss_anchor'\] .*leaves one position of a map"),
    ('connectors.phi.out_channel', 24, BOTH_RECORDS),
    ('connectors.gamma.in_channel', 99, 'in_channel is 99, the record has 16 channels'),
    (SOURCE, FEATURE[:-1], rf"has source .*Nearest: '{FEATURE}'"),
    (SOURCE, AUXILIARY, rf"teacher_recorders\['feature'\] recorded nothing from '{AUXILIARY}"),
    ('student_recorders.feature.source', AUXILIARY, r"\['gamma'\] has no channels.*in_channel"),
    ('student_recorders.feature.type', 'ModuleInputs', f"s_key: connector 'gamma' {TUPLE}"),
    ('lean.distill_losses.loss_tat.views.0.grid', (16, 16), 'grid 16 x 16 needs a map of at least'),
    ('lean.distill_losses.loss_tat.in_channel', 99, "is 99, the student's map has 16 channels"),
    ('lean.student_recorders.feature.type', 'ModuleInputs', f"loss 'loss_tat' {TUPLE}"),
    ('lean.student_recorders.feature.source', AUXILIARY, 'no channels: .* not recorded in'),
    ('lean.loss_forward_mappings.loss_tat', STUDENT_ALONE, 'loss_tat gives it no t_feature'),
    ('lean.loss_forward_mappings', dict(_delete_=True), 'no channels: .* no entry of loss_forward'),
]


class TestProbe:
    def test_channels_come_from_the_models(self, build, lean):
        connectors = build().distiller.connectors
        widths = {k: (c.in_channel, c.out_channel) for k, c in connectors.items()}
        assert widths == dict(gamma=(16, 32), phi=(16, 32), theta=(32, 32))
        loss = build(lean).distiller.distill_losses['loss_tat']
        assert (loss.in_channel, loss.out_channel) == (16, 32)
        assert loss.runs_lean(torch.zeros(2, 16, 8, 8), torch.zeros(2, 32, 8, 8))

    def test_it_leaves_no_trace(self, build, tat_distiller):
        for connector in tat_distiller.connectors.values():
            connector.norm_cfg = dict(type='SyncBN')
        model = build()
        assert model.student.training
        norms = [m for m in model.modules() if getattr(m, 'running_mean', None) is not None]
        assert len(norms) > 3 and all(norm.num_batches_tracked == 0 for norm in norms)
        for connector in model.distiller.connectors.values():
            assert connector.norm.training and (connector.norm.running_mean == 0).all()
        assert all(p.grad is None for p in model.parameters())
        assert not any(model.distiller.has_recorded('feature', side) for side in (True, False))

    def test_the_student_s_own_preprocessor_has_precedence(self, build, segmentor):
        other = {**segmentor(8).data_preprocessor, 'size': (24, 24)}
        assert build(data_preprocessor=other).data_preprocessor.size == (64, 64)

    @pytest.mark.parametrize('path, value, message', MISFITS)
    def test_what_does_not_fit_is_named(self, build, tat_distiller, lean, path, value, message):
        """Before any training; in the recipes' form and in the composed one."""
        cfg = Config(dict(composed=tat_distiller, lean=lean))
        form = 'lean' if path.startswith('lean.') else 'composed'
        cfg.merge_from_dict({f'{form}.{path.removeprefix("lean.")}': value})
        with pytest.raises(ValueError, match=message):
            build(cfg[form])

    @pytest.mark.parametrize(
        'settings, message',
        [
            # A map of 8 x 8 at the crop of 64: the grid of 4 fits there and not at 24.
            (dict(probe_size=(24, 24)), 'an input of 24 x 24: grid 4 x 4 .* got 3 x 3'),
            (dict(distiler={}), "unexpected keyword argument 'distiler'"),
            (dict(teacher_mode='train'), "teacher_mode must be 'eval' or 'bn_train', got 'tr"),
            (dict(teacher_trainable=True), 'teacher_trainable=True: .* is always frozen'),
            (dict(teacher_norm_eval=True), 'teacher_norm_eval=True: .* is always frozen'),
            (dict(distiller=dict(type='mmrazor.ConfigurableDistiller')), 'got Configurable'),
        ],
    )
    def test_settings(self, build, settings, message):
        with pytest.raises(TypeError if 'distiler' in settings else ValueError, match=message):
            build(**settings)

    def test_a_student_record_of_training_only_waits_for_training(
        self, build, tat_distiller, batch
    ):
        tat_distiller.student_recorders.feature.source = 'auxiliary_head.convs.0.activate'
        for name, width in (('gamma', 8), ('phi', 8), ('theta', 32)):
            tat_distiller.connectors[name].update(in_channel=width, out_channel=32)
        assert build().train().loss(*batch())['distill.loss_patch'] > 0


def test_another_head(build, batch, segmentor):
    """mmseg's PSP head has the recipes' feature under the same name."""
    pair = dict(architecture=segmentor(8), teacher=segmentor(16))
    for network in pair.values():
        network.decode_head.update(type='PSPHead', pool_scales=(1, 2))
        del network.decode_head['dilations']
    assert build(**pair).train().loss(*batch())['distill.loss_patch'] > 0


def test_student_and_teacher_of_other_resolutions(build, tat_distiller, batch, segmentor):
    """A softmax over the student takes maps of different sizes: here 8 x 8 and 4 x 4."""
    student, losses = segmentor(8), tat_distiller.distill_losses
    student.backbone.update(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))
    losses.loss_patch.update(grid=(2, 2), groups=2)
    for loss in losses.values():
        loss.softmax_over = 'student'
    losses = build(architecture=student).train().loss(*batch())
    assert all(torch.isfinite(losses[f'distill.loss_{k}']) for k in ('patch', 'anchor'))


class TestLeanLoss:
    def test_views_are_logged_and_counted_once(self, build, batch, lean):
        model = build(lean).train()
        losses = model.loss(*batch())
        parts = losses['distill.tat_patch'] + losses['distill.tat_anchor']
        torch.testing.assert_close(parts, losses['distill.loss_tat'].detach())
        total, log = model.parse_losses(losses)
        torch.testing.assert_close(total, sum(v for k, v in losses.items() if '.loss' in k))
        assert {'distill.loss_tat', 'distill.tat_patch', 'distill.tat_anchor'} <= log.keys()

    def test_a_step_twice_with_a_seed_is_the_same_to_the_bit(self, build, batch, lean):
        """Dropout included."""
        model, found = build(lean).train(), []
        for _ in range(2):
            model.zero_grad()
            found.append([*step(model, batch()).values(), *map(torch.clone, gradients(model))])
        assert len(found[0]) > 10 and all(map(torch.equal, *found))

    @pytest.mark.slow
    def test_compiled_student_and_teacher_keep_their_records(self, build, batch, lean):
        """The losses and gradients of eager mode, so the hooks of the recorders have fired."""
        eager, compiled = build(lean).train(), build(lean).train()
        compiled.load_state_dict(eager.state_dict())
        for name in ('student', 'teacher'):
            getattr(compiled, name).compile(backend='aot_eager')
        expected, losses = step(eager, batch()), step(compiled, batch())
        assert losses.keys() == expected.keys()
        for name in losses:
            torch.testing.assert_close(losses[name], expected[name], rtol=1e-4, atol=1e-6)
        for a, b in zip(gradients(compiled.student), gradients(eager.student), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-4)
