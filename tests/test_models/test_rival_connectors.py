"""Overhaul's margin, knowledge review's fusion, and the record before an activation."""

import copy

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

from mmrazor_tat.models import MarginReLUConnector, PreActivationRecorder, ReviewKDConnector
from mmrazor_tat.models.connectors.margin_relu_connector import expected_negative


class Block(nn.Module):
    """As a ResNet's: one ReLU, called twice, and an addition before the last call."""

    def __init__(self, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1, bias=False)
        self.bn1, self.bn2 = norm(4), norm(4)
        self.relu = nn.ReLU()
        self.downsample = nn.Sequential(norm(4))

    def forward(self, x):
        out = self.bn2(self.relu(self.bn1(self.conv(x))))
        out += self.downsample(x)
        return self.relu(out)


def drawn_norms(network):
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    return network


def margin_of(norm):
    return expected_negative(norm.bias.detach(), norm.weight.detach().abs())


class TestMargin:
    def test_is_the_mean_of_the_negative_part(self):
        """-sqrt(2 / pi) of N(0, 1); at 5 sigma, P(x < 0) = 2.9e-7: -3 sigma, as the authors do."""
        for mean, std, margin in ((0.0, 1.0, -((2 / torch.pi) ** 0.5)), (5.0, 1.0, -3), (1, 0, 0)):
            mean, std = (torch.tensor([x], dtype=torch.float64) for x in (mean, std))
            assert expected_negative(mean, std).item() == pytest.approx(margin, rel=1e-12)

    def test_agrees_with_mmrazor_s(self):
        from mmrazor.models.distillers.ofd_distiller import OFDDistiller

        norm = drawn_norms(nn.BatchNorm2d(50))
        theirs = OFDDistiller._get_margin_from_BN(None, norm).flatten()
        torch.testing.assert_close(margin_of(norm), theirs, rtol=1e-4, atol=1e-5)

    def test_the_norm_is_found_beside_the_recorded_activation(self):
        """The block's last one, neither the first nor that of the shortcut; its margin is saved."""
        teacher = drawn_norms(nn.Sequential(Block(), Block()))
        connector, named, resumed = (MarginReLUConnector(norm=n) for n in (None, '1.bn1', None))
        connector.prepare_from_teacher(teacher, '1.relu')
        assert torch.equal(connector.margin, margin_of(teacher[1].bn2))
        named.prepare_from_teacher(teacher, '1.relu')
        assert torch.equal(named.margin, margin_of(teacher[1].bn1))
        resumed.prepare_from_teacher(Block(), 'relu')
        resumed.load_state_dict(connector.state_dict())
        assert torch.equal(resumed.margin, connector.margin)

    def test_cuts_below_the_margin_only(self):
        connector = MarginReLUConnector()
        x = torch.tensor([[-2.0, 3.0], [-0.2, -0.7]]).reshape(1, 2, 1, 2)
        with pytest.raises(RuntimeError, match='no margin yet'):
            connector(x)
        connector.margin = torch.tensor([-1.0, -0.5])
        assert connector(x).flatten().tolist() == pytest.approx([-1.0, 3.0, -0.2, -0.5])

    @pytest.mark.parametrize(
        'teacher', [nn.Sequential(nn.ReLU()), Block(lambda c: nn.BatchNorm2d(c, affine=False))]
    )
    def test_no_norm_to_read(self, teacher):
        source = [name for name, part in teacher.named_modules() if isinstance(part, nn.ReLU)][0]
        with pytest.raises(ValueError, match=f"no batch norm with gain and bias for '{source}'"):
            MarginReLUConnector().prepare_from_teacher(teacher, source)


def test_the_record_before_an_activation_is_what_its_last_call_takes():
    block, x = Block().eval(), torch.randn(2, 4, 3, 3)
    recorder = PreActivationRecorder('relu')
    recorder.initialize(block)
    for batch in (x[:1], x):  # an earlier pass is forgotten
        with recorder:
            y = block(batch)
    block(torch.ones(3, 4, 3, 3))  # not recording
    record = recorder.get_record_data()
    assert record.min() < 0 and torch.equal(record.relu(), y)
    assert len(recorder.data_buffer) == 1


class TestMMRazorsTeacherConnector:
    """OFDTeacherConnector in MMRazor's own algorithm on mmseg's ResNet: why it is not used.

    Every fault that configs/ofd/README.md names.
    """

    POINT = 'backbone.layer4.1.bn2'

    @pytest.fixture
    def build(self, segmentor):
        def build(norm='BN', **settings):
            torch.manual_seed(0)
            student, teacher = segmentor(8), segmentor(8)
            teacher.backbone.norm_cfg.type = teacher.decode_head.norm_cfg.type = norm
            teacher.backbone.zero_init_residual = False  # its margin divides by the norm's gain
            points = dict(point=dict(type='ModuleOutputs', source=self.POINT))
            reads = dict(
                s_feature=dict(recorder='point', from_student=True),
                t_feature=dict(recorder='point', from_student=False, connector='margin'),
            )
            distiller = dict(
                _scope_='mmrazor',
                type='OFDDistiller',
                student_recorders=points,
                teacher_recorders=points,
                connectors=dict(margin=dict(type='OFDTeacherConnector')),
                distill_losses=dict(loss_ofd=dict(type='OFDLoss')),
                loss_forward_mappings=dict(loss_ofd=reads),
            )
            networks = dict(architecture=student, teacher=teacher, distiller=distiller)
            algorithm = 'mmrazor.OverhaulFeatureDistillation'
            return MODELS.build(dict(type=algorithm, **networks, **settings))

        return build

    def run(self, model):
        """A pass of the teacher.

        Returns:
            MMRazor's record of the norm; what the norm gave and what the block's last ReLU was
            given, both as they were then; the block's result.
        """
        block, seen = model.teacher.backbone.layer4[1], {}
        block.bn2.register_forward_hook(lambda module, x, y: seen.update(norm=y.clone()))
        block.relu.register_forward_pre_hook(lambda module, x: seen.update(relu=x[0].clone()))
        block.register_forward_hook(lambda module, x, y: seen.update(result=y.clone()))
        with model.distiller.teacher_recorders, torch.no_grad():
            model.teacher(torch.randn(2, 3, 64, 64), mode='tensor')
        record = model.distiller.teacher_recorders.get_recorder('point').get_record_data()
        return record, seen['norm'], seen['relu'], seen['result']

    def test_the_norm_does_not_give_the_point_before_the_relu(self, build):
        """Its record comes to hold that point, as the block then adds into the same tensor."""
        record, of_norm, before_relu, _ = self.run(build())
        assert (of_norm - before_relu).abs().max() > 0.1
        assert torch.equal(record, before_relu)

    def test_a_relu_in_place_leaves_nothing_to_cut(self, build):
        """mmseg's ReLUs work in place where nobody turns that off: the record is then >= 0."""
        model = build(teacher_module_inplace=True)
        record, _, before_relu, result = self.run(model)
        assert before_relu.min() < 0
        assert torch.equal(record, result) and record.min() == 0
        connector = model.distiller.connectors['margin']
        assert connector.margin.max() < 0 and torch.equal(connector(record), record)

    def test_another_addition_gives_another_point(self, build, monkeypatch):
        """The same block with the sum as a new tensor, as other networks make it."""
        model = build()
        block = model.teacher.backbone.layer4[1]

        def forward(x):
            out = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
            return block.relu(out + x)

        monkeypatch.setattr(block, 'forward', forward)
        record, of_norm, before_relu, _ = self.run(model)
        assert torch.equal(record, of_norm)
        assert (record - before_relu).abs().max() > 0.1

    def test_a_sync_bn_that_the_runner_replaced_is_not_recorded(self, build, batch):
        """The runner does so outside of distributed training, after the hooks are set. Our record
        stays."""
        model = build('SyncBN')
        recorder = PreActivationRecorder('backbone.layer4.1.relu')
        recorder.initialize(model.teacher)
        model = revert_sync_batchnorm(model)
        with recorder, pytest.raises(AssertionError, match='length of data_buffer is 0'):
            model.loss(*batch())
        assert recorder.get_record_data().min() < 0

    def test_its_margin_is_not_saved_and_needs_a_gain_other_than_zero(self, build):
        model = build()
        connector = model.distiller.connectors['margin']
        assert connector.margin.shape == (1, 64, 1, 1) and not connector.state_dict()
        nn.init.zeros_(model.teacher.get_submodule(self.POINT).weight)
        with pytest.raises(ZeroDivisionError):
            model.distiller.init_ofd_connectors(model.teacher)


class TestReviewKDConnector:
    def make(self, **kwargs):
        torch.manual_seed(0)
        return ReviewKDConnector([2, 3, 4], [5, 6, 7], mid_channel=4, **kwargs).double()

    def levels(self):
        torch.manual_seed(1)
        sizes = ((2, 8, 6), (3, 4, 3), (4, 4, 3))
        return [torch.randn(2, *size, dtype=torch.float64) for size in sizes]

    def test_against_the_equations(self):
        connector, (s1, s2, s3) = self.make().eval(), self.levels()
        r3 = connector.reduce[2](s3)
        a2 = torch.sigmoid(connector.attention[1](torch.cat([connector.reduce[1](s2), r3], 1)))
        r2 = a2[:, 0:1] * connector.reduce[1](s2) + a2[:, 1:2] * r3
        up = r2.repeat_interleave(2, 2).repeat_interleave(2, 3)
        a1 = torch.sigmoid(connector.attention[0](torch.cat([connector.reduce[0](s1), up], 1)))
        r1 = a1[:, 0:1] * connector.reduce[0](s1) + a1[:, 1:2] * up
        expected = [connector.expand[k](r) for k, r in enumerate((r1, r2, r3))]
        for a, b in zip(connector([s1, s2, s3]), expected):
            torch.testing.assert_close(a, b)

    def test_the_fused_width_is_that_of_the_deepest_map(self):
        """At most 512, as in the authors' code for classification."""
        for deepest, width in ((64, 64), (2048, 512)):
            connector = ReviewKDConnector([8, deepest], [8, 16], mid_channel=None)
            assert [layer[0].out_channels for layer in connector.reduce] == [width, width]
            assert connector.expand[1][0].in_channels == width

    def test_a_deeper_map_that_is_larger_is_sampled(self):
        """As DeepLabV3+'s decoder after its ASPP: of 8 x 8 positions every second one is read."""
        torch.manual_seed(0)
        connector = ReviewKDConnector([2, 3], [5, 6], mid_channel=4).double().eval()
        shallow, deep = (torch.randn(1, c, k, k, dtype=torch.float64) for c, k in ((2, 4), (3, 8)))
        result, _ = connector([shallow, deep.requires_grad_()])
        (gradient,) = torch.autograd.grad(result.square().sum(), deep)
        read = gradient.abs().sum((0, 1)) > 0
        expected = torch.zeros(8, 8, dtype=torch.bool)
        expected[::2, ::2] = True
        assert torch.equal(read, expected)

    def test_channels_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r'in_channels is \[2, 3\], the maps have \[2, 9\]'):
            ReviewKDConnector(in_channels=[2, 3]).set_channels([2, 9], [4, 4])
        with pytest.raises(ValueError, match='2 maps of the student and 3 of the teacher'):
            ReviewKDConnector().set_channels([2, 3], [4, 4, 4])
        with pytest.raises(RuntimeError, match='has no channels yet'):
            ReviewKDConnector()([torch.zeros(1, 2, 3, 3)])


class TestInTheAlgorithm:
    """The recipes' fragments on small networks of the tests."""

    @pytest.fixture
    def build(self, algorithm, distiller_config):
        def build(method, **changes):
            distiller = distiller_config(method, 'deeplabv3_r101_r18')
            distiller.teacher_recorders = copy.deepcopy(distiller.student_recorders)
            if method == 'ickd':
                distiller.distill_losses.loss_ickd.grid = (2, 2)
            distiller.update(changes)
            return algorithm(distiller)

        return build

    def test_channels_of_a_list_of_maps_come_from_the_models(self, build):
        fusion = build('review_kd').distiller.connectors['fusion']
        assert fusion.in_channels == [8, 16, 32, 64, 16]
        assert fusion.out_channels == [16, 32, 64, 128, 32]

    def test_margins_come_from_the_loaded_teacher(self, build):
        model = build('ofd')
        saved = torch.load(model.teacher_ckpt)['state_dict']
        for name, norm in (
            ('teacher_stage4', 'backbone.layer4.1.bn2'),
            ('teacher_feature', 'decode_head.bottleneck.bn'),
        ):
            bias, gain = (saved[f'{norm}.{part}'] for part in ('bias', 'weight'))
            margin = model.distiller.connectors[name].margin
            assert margin.abs().sum() > 0
            assert torch.equal(margin, expected_negative(bias, gain.abs()))

    @pytest.mark.parametrize('method', ['kd', 'cwd', 'at', 'fitnet', 'ofd', 'ickd', 'review_kd'])
    def test_a_step_reaches_all_that_learns(self, build, batch, method):
        """The losses are given no graph of the teacher: MMRazor's would send gradients along it."""
        model = build(method).train()
        model.teacher.requires_grad_(True)
        given = {True: [], False: []}

        def keep(loss, args, kwargs):
            assert not args
            for name, value in kwargs.items():
                maps = value if isinstance(value, (list, tuple)) else [value]
                given[name.startswith('s_') or name.endswith('_S')].extend(maps)

        for loss in model.distiller.distill_losses.values():
            loss.register_forward_pre_hook(keep, with_kwargs=True)
        losses = model.loss(*batch())
        assert len(given[True]) == len(given[False]) > 0
        assert all(x.requires_grad for x in given[True])
        assert not any(x.requires_grad for x in given[False])
        distill = [value for name, value in losses.items() if name.startswith('distill.')]
        assert len(distill) == len(model.distiller.distill_losses)
        assert all(value > 0 for value in distill)
        sum(distill).backward()
        assert model.student.backbone.layer1[0].conv1.weight.grad.abs().sum() > 0
        assert all(p.grad is not None for p in model.distiller.parameters())
        assert all(p.grad is None for p in model.teacher.parameters())

    def test_a_list_with_an_unknown_recorder(self, build):
        record = dict(recorder=['stage9', 'stage4'], from_student=True)
        with pytest.raises(AssertionError, match='"stage9" must be in'):
            build('review_kd', loss_forward_mappings=dict(loss_review=dict(s_features=record)))
