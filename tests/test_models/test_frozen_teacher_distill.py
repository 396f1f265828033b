import copy
import dataclasses

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmrazor_tat.models.teacher.identity import TeacherIdentity


class _Weights:
    """What a state_dict is read from."""

    def __init__(self, weights: dict) -> None:
        self.state_dict = lambda: weights


@pytest.fixture
def config(segmentor, tat_distiller, save_weights):
    teacher = segmentor(16)
    return dict(
        type='mmrazor.FrozenTeacherDistill',
        architecture=segmentor(8),
        teacher=teacher,
        teacher_ckpt=save_weights(teacher),
        distiller=tat_distiller,
    )


@pytest.fixture
def build(config):
    def build(**changes):
        torch.manual_seed(0)
        return ROOT_MODELS.build(copy.deepcopy({**config, **changes}))

    return build


class TestTeacher:
    def test_is_in_eval_mode_dropout_included(self, build):
        model = build().train()
        assert model.training and model.student.training
        dropouts = [m for m in model.teacher.modules() if isinstance(m, nn.Dropout2d)]
        assert dropouts
        assert not any(m.training for m in model.teacher.modules())

    def test_is_unchanged_by_a_step_and_the_student_is_not(self, build, batch):
        model = build().train()
        before = copy.deepcopy([model.state_dict(), model.teacher.state_dict()])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = model.loss(*batch())
        model.parse_losses(losses)[0].backward()
        optimizer.step()
        after = [model.state_dict(), model.teacher.state_dict()]
        changed = {
            k.split('.')[0]
            for old, new in zip(before, after)
            for k, v in new.items()
            if not torch.equal(v, old[k])
        }
        assert changed == {'architecture', 'distiller'}

    def test_gets_no_gradient_and_no_graph(self, build, batch):
        model = build().train()
        graphs = []
        model.teacher.decode_head.bottleneck.register_forward_hook(
            lambda *_: graphs.append(torch.is_grad_enabled())
        )
        losses = model.loss(*batch())
        assert graphs == [False]
        recorder = model.distiller.teacher_recorders.get_recorder('feature')
        assert not recorder.get_record_data().requires_grad
        sum(v for k, v in losses.items() if 'distill' in k).backward()
        assert all(p.grad is None and not p.requires_grad for p in model.teacher.parameters())
        assert all(p.grad is not None for p in model.distiller.parameters())
        backbone = (
            model.student.backbone.conv1
            if hasattr(model.student.backbone, 'conv1')
            else model.student.backbone.stem
        )
        assert all(p.grad.abs().sum() > 0 for p in backbone.parameters())

    def test_runs_features_only(self, build, batch):
        model = build().train()
        ran = set()
        for name, module in model.teacher.named_modules():
            module.register_forward_hook(lambda *_, name=name: ran.add(name.split('.')[0]))
        model.teacher.decode_head.loss = None  # would fail if it were called
        model.loss(*batch())
        assert {'backbone', 'decode_head'} <= ran
        assert 'auxiliary_head' not in ran

    def test_its_features_are_those_of_the_checkpoint_in_eval_mode(self, build, config, batch):
        from mmseg.registry import MODELS

        alone = MODELS.build(copy.deepcopy(config['teacher'])).eval()
        alone.load_state_dict(torch.load(config['teacher_ckpt'])['state_dict'])
        features = []
        alone.decode_head.bottleneck.bn.register_forward_hook(
            lambda module, inputs, output: features.append(output.clone())
        )
        model = build().train()
        inputs, samples = batch()
        model.loss(inputs, samples)
        with torch.no_grad():
            alone(inputs, mode='tensor')
        record = model.distiller.teacher_recorders.get_recorder('feature')
        torch.testing.assert_close(record.get_record_data(), features[0])

    def test_without_weights_it_is_built_but_does_not_teach(self, build, batch):
        model = build(teacher_ckpt=None)
        for call in (model.init_weights, lambda: model.loss(*batch())):
            with pytest.raises(ValueError, match='teacher_ckpt is None: a teacher with random'):
                call()
        assert len(model.forward(batch()[0], mode='tensor')) == 2

    def test_a_built_teacher_is_its_builder_s_to_load(self, build, config, batch):
        from mmseg.registry import MODELS

        built = MODELS.build(copy.deepcopy(config['teacher']))
        assert build(teacher=built, teacher_ckpt=None).loss(*batch())

    def test_record_runs_both_and_computes_no_loss(self, build, batch):
        model = build().train()
        distiller = model.distiller
        model.student.loss = model.teacher.loss = distiller.compute_loss = None
        inputs, samples = batch()
        outputs = model.record(inputs, samples)
        maps = [distiller.raw_record('feature', student) for student in (True, False)]
        assert [tuple(x.shape) for x in maps] == [(2, 16, 8, 8), (2, 32, 8, 8)]
        assert [x.requires_grad for x in maps] == [True, False]
        with torch.no_grad():
            again = model.eval().record(inputs, samples)
            assert torch.equal(again, model.student(inputs, samples, mode='tensor'))
        assert outputs.shape == again.shape
        assert not distiller.raw_record('feature', True).requires_grad
        torch.testing.assert_close(distiller.raw_record('feature', False), maps[1])
        distiller.reset_records()
        assert not any(distiller.has_recorded('feature', student) for student in (True, False))

    def test_bn_train_is_a_matter_of_training(self, build, batch):
        """In eval mode a single image will do, and the running statistics are taken."""
        inputs, _ = batch(size=1)
        features = []
        for mode in ('bn_train', 'eval'):
            model = build(teacher_mode=mode).eval()
            model.record(inputs)
            features.append(model.distiller.raw_record('feature', False))
        assert torch.equal(*features)

    def test_bn_train_takes_the_statistics_of_the_batch(self, build, config, batch):
        """As a network in training mode without dropout, but for the running statistics."""
        from mmseg.registry import MODELS

        alone = MODELS.build(copy.deepcopy(config['teacher']))
        alone.load_state_dict(torch.load(config['teacher_ckpt'])['state_dict'])
        features = []
        alone.decode_head.bottleneck.bn.register_forward_hook(
            lambda module, inputs, output: features.append(output.clone())
        )
        model = build(teacher_mode='bn_train').train()
        before = copy.deepcopy(model.teacher.state_dict())
        inputs, samples = batch()
        model.loss(inputs, samples)
        with torch.no_grad():
            alone.train()(inputs, mode='tensor')
        record = model.distiller.teacher_recorders.get_recorder('feature')
        torch.testing.assert_close(record.get_record_data(), features[0])
        assert all(torch.equal(x, before[k]) for k, x in model.teacher.state_dict().items())
        assert not any(module.training for module in model.teacher.modules())

    def test_bn_train_of_a_single_image(self, build, batch):
        model = build(teacher_mode='bn_train').train()
        with pytest.raises(ValueError, match="teacher_mode='bn_train': .* in a batch of 1: take"):
            model.loss(*batch(1))

    def test_a_record_of_frozen_stages_is_pointed_out_once(self, build, config, batch, caplog):
        distiller = copy.deepcopy(config['distiller'])
        distiller.student_recorders.feature.source = 'backbone.layer4.1.relu'
        student = copy.deepcopy(config['architecture'])
        student.backbone.frozen_stages = 4
        model = build(architecture=student, distiller=distiller).train()
        logger = MMLogger.get_current_instance()
        logger.addHandler(caplog.handler)
        try:
            model.loss(*batch())
            model.loss(*batch())
        finally:
            logger.removeHandler(caplog.handler)
        assert caplog.text.count("reads 'backbone.layer4.1.relu', which depends on no weight") == 1

    def test_another_mode_is_refused(self, build):
        with pytest.raises(ValueError, match="teacher_mode must be 'eval' or 'bn_train', got 'tr"):
            build(teacher_mode='train')

    def test_a_checkpoint_with_code_needs_a_word(self, build, config, tmp_path):
        content = torch.load(config['teacher_ckpt'])
        torch.save(dict(content, extra=nn.Identity()), tmp_path / 'own.pth')
        with pytest.raises(ValueError, match='model.trust_teacher_ckpt=True loads it'):
            build(teacher_ckpt=str(tmp_path / 'own.pth'))
        model = build(teacher_ckpt=str(tmp_path / 'own.pth'), trust_teacher_ckpt=True)
        assert model.teacher_is_loaded

    def test_a_checkpoint_that_is_loaded_brings_no_other_teacher(self, build, config, caplog):
        """Neither an older one, which holds its teacher's weights, nor one that names another."""
        model, other = build(), build()
        for parameter in [*other.teacher.parameters(), *other.student.parameters()]:
            parameter.data.add_(1)
        other.teacher_identity = None
        with_weights = other.state_dict()
        assert any(key.startswith('teacher.') for key in with_weights)
        other.teacher_identity = TeacherIdentity.of(other.teacher, 'another.pth')
        logger = MMLogger.get_current_instance()
        logger.addHandler(caplog.handler)
        try:
            for count, content in enumerate((with_weights, other.state_dict()), start=1):
                model.load_state_dict(content)
                assert caplog.text.count('another teacher than teacher_ckpt') == count
            assert "another.pth' (sha256 " in caplog.text
            model.load_state_dict(model.state_dict())
            assert caplog.text.count('another teacher than teacher_ckpt') == 2
        finally:
            logger.removeHandler(caplog.handler)
        saved = torch.load(config['teacher_ckpt'])['state_dict']
        assert all(torch.equal(x, saved[k]) for k, x in model.teacher.state_dict().items())
        for ours, theirs in zip(model.student.parameters(), other.student.parameters()):
            assert torch.equal(ours, theirs)
        # Without a teacher_ckpt (tools/test.py) an older checkpoint's own is taken.
        bare = build(teacher_ckpt=None)
        bare.load_state_dict(with_weights)
        assert torch.equal(next(bare.teacher.parameters()), next(other.teacher.parameters()))
        bare.load_state_dict(other.state_dict())  # one that only names it

    def test_checkpoints_name_it_and_leave_its_weights_out(self, build, config):
        model = build()
        content = model.state_dict()
        assert not any(key.startswith('teacher.') for key in content)
        students = {k for k in content if k.startswith('architecture.')}
        assert {k[len('architecture.') :] for k in students} == model.student.state_dict().keys()
        assert any(key.startswith('distiller.') for key in content)
        identity = TeacherIdentity.from_tensor(content['teacher_identity'])
        assert identity.checkpoint == config['teacher_ckpt']
        assert identity == TeacherIdentity.of(model.teacher, config['teacher_ckpt'])
        saved = torch.load(config['teacher_ckpt'])['state_dict']
        assert identity.sha256 == TeacherIdentity.of(_Weights(saved), '').sha256
        name = next(k for k in saved if k.endswith('running_var'))
        saved[name][0] += 1e-6
        assert identity.sha256 != TeacherIdentity.of(_Weights(saved), '').sha256
        assert list(build(teacher=model.teacher, teacher_ckpt=None).state_dict())[-1] != (
            'teacher_identity'
        )  # a built one has no file to name

    def test_a_copy_is_as_good(self, build):
        """mmengine's EMAHook copies the model, and swaps the two state_dicts."""
        model = build()
        twin = copy.deepcopy(model)
        for parameter in twin.student.parameters():
            parameter.data.add_(1)
        twin.load_state_dict(model.state_dict())
        assert all(map(torch.equal, twin.student.parameters(), model.student.parameters()))
        assert twin.state_dict().keys() == model.state_dict().keys()

    @pytest.mark.parametrize('iteration', [0, 3])
    def test_a_resumed_run_keeps_its_teacher(self, build, batch, iteration):
        model, other = build(), build()
        other.teacher_identity = dataclasses.replace(other.teacher_identity, sha256='0' * 64)
        hub = MessageHub.get_current_instance()
        before = hub.get_info('iter', 0)
        model.load_state_dict(other.state_dict())
        try:
            hub.update_info('iter', iteration)
            if iteration == 0:  # load_from: a choice
                model.loss(*batch())
                hub.update_info('iter', 1)
                model.loss(*batch())
            else:
                with pytest.raises(ValueError, match=r'(?s)sha256 .* that is resumed: .*0000'):
                    model.loss(*batch())
        finally:
            hub.update_info('iter', before)

    def test_init_weights_leaves_it_alone(self, build, config):
        model = build()
        model.init_weights()
        saved = torch.load(config['teacher_ckpt'])['state_dict']
        assert all(torch.equal(v, saved[k]) for k, v in model.teacher.state_dict().items())

    @pytest.mark.parametrize('name', ['teacher_trainable', 'teacher_norm_eval'])
    def test_settings_that_would_thaw_it_are_refused(self, build, name):
        with pytest.raises(ValueError, match=f'{name}=True: the teacher .* is always frozen'):
            build(**{name: True})


class TestLoss:
    def test_names_and_values(self, build, batch):
        model = build().train()
        losses = model.loss(*batch())
        assert set(losses) == {
            'student.decode.loss_ce',
            'student.decode.acc_seg',
            'student.aux.loss_ce',
            'student.aux.acc_seg',
            'distill.loss_patch',
            'distill.loss_anchor',
        }
        total, _ = model.parse_losses(losses)
        expected = sum(v for k, v in losses.items() if 'loss' in k)
        torch.testing.assert_close(total, expected)
        assert all(losses[f'distill.loss_{k}'] > 0 for k in ('patch', 'anchor'))

    def test_records_are_before_the_relu(self, build, batch):
        model = build().train()
        model.loss(*batch())
        for side in ('student', 'teacher'):
            recorders = getattr(model.distiller, f'{side}_recorders')
            assert recorders.get_recorder('feature').get_record_data().min() < 0

    def test_is_finite_and_full_precision_under_autocast(self, build, batch):
        model = build().train()
        with torch.autocast('cpu', torch.bfloat16):
            losses = model.loss(*batch())
        total, _ = model.parse_losses(losses)
        total.backward()
        for name in ('distill.loss_patch', 'distill.loss_anchor'):
            assert losses[name].dtype == torch.float32
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)

    def test_the_student_alone_when_distillation_is_stopped(self, build, batch):
        model = build().train()
        model.distillation_stopped = True
        model.teacher.forward = None  # would fail if it were called
        losses = model.loss(*batch())
        total = sum(value for name, value in losses.items() if name.startswith('distill'))
        assert total == 0
        # Zero gradients, not none: DistributedDataParallel waits for them.
        total.backward()
        assert all((p.grad == 0).all() for p in model.distiller.parameters())

    def test_without_the_student_s_own_loss(self, build, batch):
        losses = build(calculate_student_loss=False).train().loss(*batch())
        assert set(losses) == {'distill.loss_patch', 'distill.loss_anchor'}

    def test_prediction_is_the_student_s(self, build, batch):
        model = build().eval()
        inputs, samples = batch()
        ours = model.forward(inputs, copy.deepcopy(samples), mode='predict')
        student = model.student(inputs, copy.deepcopy(samples), mode='predict')
        assert all(torch.equal(a.seg_logits.data, b.seg_logits.data) for a, b in zip(ours, student))

    def test_images_that_are_mostly_padding_are_pointed_out_once(self, build, batch, caplog):
        from mmengine.logging import MMLogger

        MMLogger.get_current_instance().addHandler(caplog.handler)
        model = build().train()
        inputs, samples = batch()
        for sample in samples:
            sample.set_metainfo(dict(img_shape=(32, 32)))
        model.loss(inputs, samples)
        model.loss(inputs, samples)
        told = [r.message for r in caplog.records if 'more than half' in r.message]
        assert len(told) == 1
        assert '(32, 32)' in told[0] and '64 x 64' in told[0]


class TestProbe:
    def test_channels_come_from_the_models(self, build):
        connectors = build().distiller.connectors
        assert {k: (c.in_channel, c.out_channel) for k, c in connectors.items()} == {
            'gamma': (16, 32),
            'phi': (16, 32),
            'theta': (32, 32),
        }

    def test_it_leaves_no_trace(self, build):
        model = build()
        assert model.student.training
        trackers = [
            m.num_batches_tracked
            for m in model.modules()
            if hasattr(m, 'running_mean') and m.running_mean is not None
        ]
        assert trackers and all(t == 0 for t in trackers)
        assert all(p.grad is None for p in model.parameters())

    def test_it_leaves_no_trace_in_a_connector_s_batch_norm_either(self, build, config):
        for connector in config['distiller'].connectors.values():
            connector.norm_cfg = dict(type='SyncBN')
        model = build()
        for connector in model.distiller.connectors.values():
            assert connector.norm.training
            assert connector.norm.num_batches_tracked == 0
            assert (connector.norm.running_mean == 0).all()
        for recorders in (model.distiller.student_recorders, model.distiller.teacher_recorders):
            assert recorders.get_recorder('feature').data_buffer == []

    def test_its_size_is_the_crop_or_the_one_given(self, build, config):
        # A map of 8 x 8 at the crop of 64: the grid of 4 fits there and not at 24.
        build()
        with pytest.raises(ValueError, match='an input of 24 x 24: grid 4 x 4 .* got 3 x 3'):
            build(probe_size=(24, 24))

    def test_the_student_s_own_preprocessor_has_precedence(self, build, config):
        other = {**config['architecture'].data_preprocessor, 'size': (24, 24)}
        assert build(data_preprocessor=other).data_preprocessor.size == (64, 64)

    def test_a_view_of_one_position_is_refused(self, build, config):
        """Its softmax is constant: gamma and theta would never learn, and nothing would tell."""
        config['distiller'].distill_losses.loss_patch.update(grid=(8, 8), groups=16)
        with pytest.raises(ValueError, match='leaves one position of a map of 8 x 8'):
            build()

    def test_a_mistyped_argument_is_named_with_the_nearest(self, build):
        with pytest.raises(TypeError, match="no argument 'distiler'; nearest: distiller"):
            build(distiler=dict())

    @pytest.mark.parametrize(
        'path, value, message',
        [
            (
                'distill_losses.loss_patch.grid',
                (16, 16),
                r"distill_losses\['loss_patch'\] does not fit .* 64 x 64: grid 16 x 16 needs a "
                r'map of at least 16 x 16, got 8 x 8: a grid of at most 4 x 4',
            ),
            (
                'distill_losses.loss_anchor.kernel',
                9,
                r"distill_losses\['loss_anchor'\] .*kernel 9 needs a map of at least 9 x 9",
            ),
            (
                'connectors.phi.out_channel',
                24,
                's_value has 24 channels, t_feature has 32',
            ),
            (
                'connectors.theta.out_channel',
                24,
                's_key has 32 channels, t_query has 24',
            ),
            (
                'connectors.gamma.in_channel',
                99,
                'in_channel is 99, the record has 16 channels',
            ),
            (
                'teacher_recorders.feature.source',
                'decode_head.bottlenek.activate',
                r"teacher_recorders\['feature'\] has source .*"
                r"Nearest: 'decode_head.bottleneck.activate'",
            ),
            (
                'teacher_recorders.feature.source',
                'auxiliary_head.convs.0.activate',
                r"teacher_recorders\['feature'\] recorded nothing from "
                "'auxiliary_head.convs.0.activate'",
            ),
            (
                'student_recorders.feature.type',
                'ModuleInputs',
                r"s_key: connector 'gamma' takes a map \(B, C, H, W\), got a tuple of "
                r'shape \(1, 16, 8, 8\); data_idx=0',
            ),
        ],
    )
    def test_what_does_not_fit_is_named_before_training(self, build, config, path, value, message):
        node = config['distiller']
        *parents, last = path.split('.')
        for key in parents:
            node = node[key]
        node[last] = value
        with pytest.raises(ValueError, match=message):
            build()

    def test_an_error_shows_both_records(self, build, config):
        config['distiller'].connectors.phi.out_channel = 24
        with pytest.raises(ValueError) as error:
            build()
        text = str(error.value)
        assert (
            "s_value: student_recorders['feature'] from 'decode_head.bottleneck.activate', shape "
            "(1, 16, 8, 8), through connector 'phi'"
        ) in text
        assert (
            "t_feature: teacher_recorders['feature'] from 'decode_head.bottleneck.activate', "
            'shape (1, 32, 8, 8)'
        ) in text

    def test_a_student_record_of_training_only_waits_for_training(self, build, config, batch):
        distiller = config['distiller']
        distiller.student_recorders.feature.source = 'auxiliary_head.convs.0.activate'
        for name, width in (('gamma', 8), ('phi', 8), ('theta', 32)):
            distiller.connectors[name].update(in_channel=width, out_channel=32)
        assert build().train().loss(*batch())['distill.loss_patch'] > 0

    def test_connectors_without_layers_are_refused_at_once(self, build, config):
        distiller = config['distiller']
        distiller.student_recorders.feature.source = 'auxiliary_head.convs.0.activate'
        with pytest.raises(
            ValueError, match=r"connectors\['gamma'\] has no channels.*in_channel and out_channel"
        ):
            build()

    def test_another_distiller_is_refused(self, build, config):
        with pytest.raises(ValueError, match="type='SharedConnectorDistiller', got Configurable"):
            build(distiller=dict(type='mmrazor.ConfigurableDistiller'))


def test_another_head(build, config, batch, segmentor, save_weights):
    """mmseg's PSP head has the recipes' feature under the same name."""
    pair = []
    for channels in (8, 16):
        model = segmentor(channels)
        model.decode_head.update(type='PSPHead', pool_scales=(1, 2))
        del model.decode_head['dilations']
        pair.append(model)
    student, teacher = pair
    model = build(architecture=student, teacher=teacher, teacher_ckpt=save_weights(teacher))
    assert model.train().loss(*batch())['distill.loss_patch'] > 0


def test_student_and_teacher_of_other_resolutions(build, config, batch, segmentor):
    """A softmax over the student takes maps of different sizes: here 8 x 8 and 4 x 4."""
    student = segmentor(8)
    student['backbone'].update(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))
    losses = config['distiller'].distill_losses
    losses.loss_patch.update(grid=(2, 2), groups=2)
    for loss in losses.values():
        loss.softmax_over = 'student'
    losses = build(architecture=student).train().loss(*batch())
    assert all(torch.isfinite(losses[f'distill.loss_{k}']) for k in ('patch', 'anchor'))


class TestLeanLoss:
    """The recipes' own distiller: one loss that owns its projections."""

    @pytest.fixture
    def config(self, config, lean_distiller):
        lean_distiller.distill_losses.loss_tat.lean = True  # also on a map of 8 x 8
        return {**config, 'distiller': lean_distiller}

    def test_channels_come_from_the_models(self, build):
        loss = build().distiller.distill_losses['loss_tat']
        assert (loss.in_channel, loss.out_channel) == (16, 32)
        s, t = torch.zeros(2, 16, 8, 8), torch.zeros(2, 32, 8, 8)
        assert loss.runs_lean(s, t)

    def test_views_are_logged_and_counted_once(self, build, batch):
        model = build().train()
        losses = model.loss(*batch())
        parts = losses['distill.tat_patch'] + losses['distill.tat_anchor']
        torch.testing.assert_close(parts, losses['distill.loss_tat'].detach())
        total, log = model.parse_losses(losses)
        expected = sum(v for k, v in losses.items() if '.loss' in k)
        torch.testing.assert_close(total, expected)
        assert {'distill.loss_tat', 'distill.tat_patch', 'distill.tat_anchor'} <= log.keys()

    def test_it_equals_the_composed_recipe(self, build, batch, tat_distiller):
        """Same losses, same gradients of the student, from the same projections."""
        lean, composed = build().train(), build(distiller=tat_distiller).train()
        composed.student.load_state_dict(lean.student.state_dict())
        loss = lean.distiller.distill_losses['loss_tat']
        for name, connector in composed.distiller.connectors.items():
            connector.load_state_dict(getattr(loss, name).state_dict())
        gradients = []
        for model in (lean, composed):
            torch.manual_seed(0)  # of the student's dropout
            losses = model.loss(*batch())
            total, _ = model.parse_losses(losses)
            total.backward()
            gradients.append([p.grad for p in model.student.parameters()])
            model.found = losses
        for name in ('patch', 'anchor'):
            torch.testing.assert_close(
                lean.found[f'distill.tat_{name}'], composed.found[f'distill.loss_{name}'].detach()
            )
        for a, b in zip(*gradients):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)

    def test_a_step_twice_with_a_seed_is_the_same_to_the_bit(self, build, batch):
        """Dropout included: without the seed it differs."""

        def step(seed):
            model = build().train()
            torch.manual_seed(seed)
            losses = model.loss(*batch())
            model.parse_losses(losses)[0].backward()
            return [*losses.values(), *(p.grad for p in model.parameters() if p.grad is not None)]

        first, again, other = step(1), step(1), step(2)
        assert len(first) > 10
        assert all(torch.equal(a, b) for a, b in zip(first, again))
        assert not all(torch.equal(a, b) for a, b in zip(first, other))

    def test_a_step_under_autocast_is_finite(self, build, batch):
        model = build().train()
        with torch.autocast('cpu', torch.bfloat16):
            losses = model.loss(*batch())
        model.parse_losses(losses)[0].backward()
        assert losses['distill.loss_tat'].dtype == torch.float32
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        assert all(p.grad is not None for p in model.distiller.parameters())

    @pytest.mark.parametrize(
        'change, message',
        [
            (
                lambda c: c.distill_losses.loss_tat.views[0].update(grid=(16, 16), groups=64),
                r"distill_losses\['loss_tat'\] does not fit .* grid 16 x 16 needs a map of at",
            ),
            (
                lambda c: c.distill_losses.loss_tat.update(in_channel=99),
                "in_channel is 99, the student's map has 16 channels",
            ),
            (
                lambda c: c.student_recorders.feature.update(type='ModuleInputs'),
                r"s_feature: loss 'loss_tat' takes a map \(B, C, H, W\), got a tuple of .*data_idx",
            ),
            (
                lambda c: c.loss_forward_mappings.loss_tat.pop('t_feature'),
                'loss_forward_mappings.loss_tat gives it no t_feature',
            ),
            (
                lambda c: c.loss_forward_mappings.pop('loss_tat'),
                r"distill_losses\['loss_tat'\] has no channels: .* no entry of loss_forward_",
            ),
            (
                lambda c: c.student_recorders.feature.update(
                    source='auxiliary_head.convs.0.activate'
                ),
                r"distill_losses\['loss_tat'\] has no channels: what it reads is not recorded in",
            ),
        ],
    )
    def test_what_does_not_fit_is_named_before_training(self, build, config, change, message):
        change(config['distiller'])
        with pytest.raises(ValueError, match=message):
            build()

    @pytest.mark.slow
    def test_compiled_student_and_teacher_keep_their_records(self, build, batch):
        """The losses and gradients of eager mode, so the hooks of the recorders have fired."""
        eager, compiled = build().train(), build().train()
        compiled.load_state_dict(eager.state_dict())
        for name in ('student', 'teacher'):
            getattr(compiled, name).compile(backend='aot_eager')
        found = []
        for model in (eager, compiled):
            torch.manual_seed(0)
            losses = model.loss(*batch())
            model.parse_losses(losses)[0].backward()
            found.append((losses, [p.grad for p in model.student.parameters()]))
        (expected, expected_gradients), (losses, gradients) = found
        assert losses.keys() == expected.keys()
        for name in losses:
            torch.testing.assert_close(losses[name], expected[name], rtol=1e-4, atol=1e-6)
        for a, b in zip(gradients, expected_gradients):
            torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-4)
