"""The lean operator against the reference in float64, on every path that it can take."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from mmrazor_tat import functional
from mmrazor_tat.ops import (
    CPU_BUDGET,
    GPU_BUDGET,
    AnchorPointView,
    Budget,
    PatchGroupView,
    Projection,
    hierarchical_tat,
)

VIEWS = [
    PatchGroupView((4, 3), 6, 0.3),
    PatchGroupView((3, 2), 2, 0.1, scale=0.7),  # three patches in a group, two in a row
    AnchorPointView(3, 0.7, scale=0.4),
    AnchorPointView(1, 0.2),
]
NORMS = [None, 'image', 'batch', 'fixed']
BUDGETS = {
    'default': None,
    'of a GPU': GPU_BUDGET,
    'one image, group and row at a time': Budget(images=1, tokens=1, logits=1),
    'uneven blocks': Budget(images=2 * 8 * 143, tokens=700, logits=500),
}


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def projections(norm, s_channels=6, t_channels=8, dtype=torch.float64):
    """gamma, phi and theta, learnable."""
    made = []
    for seed, channels in ((1, s_channels), (2, s_channels), (3, t_channels)):
        weight = random(t_channels, channels, seed=seed) / channels**0.5
        parameters = [weight]
        fixed = {}
        if norm is not None:
            gain, bias = random(t_channels, seed=seed), random(t_channels, seed=10 + seed)
            parameters += [1 + 0.2 * gain, 0.2 * bias]
        if norm == 'fixed':
            mean, var = random(t_channels, seed=20 + seed), random(t_channels, seed=30 + seed)
            fixed = dict(mean=mean.to(dtype), var=(var**2 + 0.5).to(dtype))
        parameters = [x.to(dtype).requires_grad_() for x in parameters]
        names = dict(zip(('weight', 'gain', 'bias'), parameters))
        made.append(Projection(norm=norm, **names, **fixed))
    return made


def parameters_of(made):
    return [x for q in made for x in (q.weight, q.gain, q.bias) if x is not None]


def project(x, q):
    y = F.conv2d(x, q.weight[:, :, None, None])
    if q.norm == 'image':
        y = F.instance_norm(y, weight=q.gain, bias=q.bias, eps=q.eps)
    elif q.norm is not None:
        training = q.norm == 'batch'
        y = F.batch_norm(y, q.mean, q.var, q.gain, q.bias, training, eps=q.eps)
    return y.contiguous()


def reference(s, t, made, views, softmax_over='teacher'):
    """Every weighted loss, spelled out: projected maps, tokens, the stored N x N softmax."""
    projected = [*map(project, (s, s, t), made), t]
    values = []
    for view in views:
        if isinstance(view, PatchGroupView):
            tokens = [functional.patch_groups(x, view.grid, view.groups) for x in projected]
        else:
            tokens = [functional.anchor_points(x, view.kernel) for x in projected]
        key, value, query, target = tokens
        rows, columns = (query, key) if softmax_over == 'student' else (key, query)
        scale = key.shape[-1] ** -0.5 if view.scale == 'auto' else view.scale
        rebuilt = (scale * rows @ columns.mT).softmax(-1) @ value
        values.append(view.weight * ((rebuilt - target) ** 2).mean())
    return torch.stack(values)


def gradients(loss, s, made):
    return torch.autograd.grad(loss, [s, *parameters_of(made)], materialize_grads=True)


def assert_equal_to_reference(s, t, made, views=VIEWS, budget=None, **options):
    result = hierarchical_tat(s, t, *made, views, budget=budget, **options)
    expected = reference(s, t, made, views, **options)
    torch.testing.assert_close(result.values, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(result.loss, expected.sum(), rtol=1e-12, atol=1e-12)
    feature, *others = gradients(result.loss, s, made)
    expected_feature, *expected_others = gradients(expected.sum(), s, made)
    assert feature.abs().max() > 1e-6
    torch.testing.assert_close(feature, expected_feature, rtol=0, atol=1e-12)
    torch.testing.assert_close(others, expected_others, rtol=0, atol=1e-10)


class TestFloat64:
    @pytest.mark.parametrize('budget', BUDGETS)
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('norm', NORMS)
    def test_every_norm_direction_and_way_to_cut_the_work(self, norm, softmax_over, budget):
        for batch in (3, 1):
            s, t = random(batch, 6, 13, 11).requires_grad_(), random(batch, 8, 13, 11)
            settings = dict(budget=BUDGETS[budget], softmax_over=softmax_over)
            assert_equal_to_reference(s, t, projections(norm), **settings)

    @pytest.mark.parametrize('budget', BUDGETS)
    @pytest.mark.parametrize('student, teacher', [((13, 11), (7, 9)), ((4, 6), (16, 12))])
    def test_maps_of_two_sizes(self, student, teacher, budget):
        s, t = random(2, 6, *student).requires_grad_(), random(2, 8, *teacher)
        made, budget = projections('image'), BUDGETS[budget]
        assert_equal_to_reference(s, t, made, budget=budget, softmax_over='student')

    @pytest.mark.parametrize('s_channels, t_channels', [(3, 200), (130, 65), (1, 1)])
    def test_widths(self, s_channels, t_channels):
        """Also above the width of a block of the covariance, and not a multiple of it."""
        s, t = random(2, s_channels, 6, 7).requires_grad_(), random(2, t_channels, 6, 7)
        made = projections('image', s_channels, t_channels)
        views = [PatchGroupView((2, 3), 3), AnchorPointView(2), AnchorPointView(1)]
        assert_equal_to_reference(s, t, made, [view._replace(scale=0.1) for view in views])

    def test_a_long_sequence_in_several_blocks_of_rows(self):
        s, t = random(1, 4, 48, 48).requires_grad_(), random(1, 5, 48, 48)
        made = projections('image', 4, 5)
        assert 48**4 > 2**22  # more logits than one block holds
        assert_equal_to_reference(s, t, made, [AnchorPointView(1)])


class TestMemoryFormats:
    @pytest.mark.parametrize('batch', [1, 2])
    @pytest.mark.parametrize(
        'change',
        [
            lambda x: x.to(memory_format=torch.channels_last),
            lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
            lambda x: torch.cat([x, x], dim=1)[:, : x.shape[1]],
            lambda x: torch.cat([x, x], dim=3)[..., ::2],
        ],
        ids=['channels_last', 'transposed', 'a slice of channels', 'strided'],
    )
    def test_any_strides(self, change, batch):
        for norm in ('image', 'batch'):
            s, t = change(random(batch, 6, 12, 12)), change(random(batch, 8, 12, 12))
            assert_equal_to_reference(s.requires_grad_(), t, projections(norm))

    @pytest.mark.parametrize('batch', [1, 2])
    def test_behind_a_batch_norm_of_the_student(self, batch):
        """Its backward on the CPU is wrong for batch 1 and a gradient of channels-last strides."""
        conv, norm = nn.Conv2d(3, 6, 1).double(), nn.BatchNorm2d(6).double()
        x, t, made = random(batch, 3, 12, 12), random(batch, 8, 12, 12), projections('image')
        found, expected = (
            torch.autograd.grad(loss, conv.parameters(), retain_graph=True)
            for loss in (
                hierarchical_tat(norm(conv(x)), t, *made, VIEWS).loss,
                reference(norm(conv(x)), t, made, VIEWS).sum(),
            )
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def relative_error(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


class TestPrecision:
    """Float32, and what comes in as half precision."""

    # Without a scale: the saturated softmax is the harder one.
    views = [PatchGroupView((4, 4), 4, 1.0, 1.0), AnchorPointView(2, 0.4, 1.0)]

    def pair(self, dtype=torch.float32, mean=0.0, mix=None):
        s, t = random(2, 32, 32, 32), random(2, 48, 32, 32)
        if mix is not None:
            s = torch.einsum('dc,bchw->bdhw', mix, s)
        return (s + mean).to(dtype), (t + mean).to(dtype)

    def errors(self, s, t, norm='image', **options):
        """Relative errors of the loss, the feature's gradient and the worst parameter's."""
        s = s.requires_grad_()
        made, exact = (projections(norm, 32, 48, dtype) for dtype in (torch.float32, torch.float64))
        result = hierarchical_tat(s, t, *made, self.views, **options)
        feature, *others = gradients(result.loss, s, made)
        s64 = s.detach().double().requires_grad_()
        expected = reference(s64, t.double(), exact, self.views, **options).sum()
        expected_feature, *expected_others = gradients(expected, s64, exact)
        assert result.loss.dtype == torch.float32 and feature.dtype == s.dtype
        loss = abs(result.loss.item() / expected.item() - 1)
        worst = max(
            relative_error(x, y) for x, y in zip(others, expected_others) if y.norm() > 1e-12
        )
        return loss, relative_error(feature, expected_feature), worst

    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('norm', ['image', 'batch', 'fixed'])
    def test_float32(self, norm, softmax_over):
        loss, feature, parameters = self.errors(*self.pair(), norm=norm, softmax_over=softmax_over)
        assert loss < 1e-5 and feature < 1e-4 and parameters < 1e-4

    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    def test_saturated(self, softmax_over):
        """Logits of hundreds: most weights would be below what float32 can hold."""
        s, t = (6 * x for x in self.pair())
        loss, feature, parameters = self.errors(s, t, softmax_over=softmax_over)
        assert loss < 1e-5 and feature < 1e-4 and parameters < 1e-4

    @pytest.mark.parametrize('mean, limit', [(20, 1e-4), (1000, 5e-3)])
    def test_float32_with_a_mean_far_above_the_deviation(self, mean, limit):
        """E[x^2] - E[x]^2 would be off by 5e-4 at 20, and useless at 1000."""
        loss, feature, _ = self.errors(*self.pair(mean=mean))
        assert loss < limit and feature < limit

    def test_float32_with_a_covariance_of_condition_1e6(self):
        directions, _ = torch.linalg.qr(random(32, 32, seed=7))
        mix = directions * torch.logspace(0, -3, 32, dtype=torch.float64)
        loss, feature, _ = self.errors(*self.pair(mix=mix))
        assert loss < 1e-5 and feature < 1e-4

    def test_a_constant_channel(self):
        """Its variance is zero, or what rounding leaves of it: no root of a negative number."""
        s, t = self.pair()
        s = s.requires_grad_()
        made = projections('image', 32, 48, torch.float32)
        with torch.no_grad():
            for q in made:
                q.weight[:, 1:] = 0
            s[:, 0], t[:, 0] = 3.7, -0.1
        result = hierarchical_tat(s, t, *made, self.views)
        assert result.loss.isfinite()
        assert all(x.isfinite().all() for x in gradients(result.loss, s, made))

    @pytest.mark.parametrize('dtype, limit', [(torch.float16, 1e-3), (torch.bfloat16, 8e-3)])
    @pytest.mark.parametrize('norm', ['image', 'batch'])
    def test_half_precision_maps(self, dtype, norm, limit):
        """Only the maps and the returned gradient are rounded; all between is float32."""
        loss, feature, parameters = self.errors(*self.pair(dtype), norm=norm)
        assert loss < 1e-5 and feature < limit and parameters < 1e-4

    def test_a_loss_scale_comes_before_the_rounding_to_half(self):
        """Unscaled, this gradient lies below what float16 can hold."""
        s, t = self.pair(torch.float16)
        s = s.requires_grad_()
        made = projections('image', 32, 48, torch.float32)
        views, over = [AnchorPointView(2, 1e-6, 1.0)], dict(softmax_over='student')
        plain, scaled = (
            torch.autograd.grad(hierarchical_tat(s, t, *made, views, **over).loss * factor, s)[0]
            for factor in (1, 2**16)
        )
        assert plain.abs().max() < 6e-8  # all of it has gone under
        s64 = s.detach().double().requires_grad_()
        exact = projections('image', 32, 48)
        value = reference(s64, t.double(), exact, views, **over).sum()
        (expected,) = torch.autograd.grad(value, s64)
        assert relative_error(scaled, expected * 2**16) < 1e-2


@pytest.mark.parametrize('norm', NORMS)
def test_statistics_are_those_of_the_batch_norms(norm):
    s, t, made = random(3, 6, 13, 11), random(3, 8, 13, 11), projections(norm)
    statistics = hierarchical_tat(s, t, *made, VIEWS, budget=Budget(1, 1, 1)).statistics
    if norm != 'batch':
        assert statistics == []
        return
    for k, (x, q) in enumerate(zip((s, s, t), made)):
        y = F.conv2d(x, q.weight[:, :, None, None]).transpose(0, 1).flatten(1).detach()
        torch.testing.assert_close(statistics[2 * k], y.mean(1))
        torch.testing.assert_close(statistics[2 * k + 1], y.var(1, unbiased=False))


class TestInTraining:
    @pytest.fixture
    def setting(self):
        torch.manual_seed(0)
        student = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 1))
        maps = random(2, 3, 12, 12), random(2, 8, 12, 12)
        return student.double(), *maps, projections('image')

    def of(self, setting, run):
        student, x, t, made = setting
        loss = run(student, x, t, made)
        return torch.autograd.grad(loss, [*student.parameters(), *parameters_of(made)])

    def plain(self, student, x, t, made):
        return hierarchical_tat(student(x), t, *made, VIEWS).loss

    def assert_same(self, found, expected):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)

    def test_gradient_checkpointing_of_the_student_and_around_the_loss(self, setting):
        def of_the_student(student, x, t, made):
            s = checkpoint(student, x, use_reentrant=False)
            return hierarchical_tat(s, t, *made, VIEWS).loss

        def around(*arguments):
            return checkpoint(self.plain, *arguments, use_reentrant=False)

        expected = self.of(setting, self.plain)
        for run in (of_the_student, around):
            self.assert_same(self.of(setting, run), expected)

    def test_under_torch_compile(self, setting):
        compiled = torch.compile(self.plain, backend='aot_eager')
        self.assert_same(self.of(setting, compiled), self.of(setting, self.plain))

    def test_factors_and_accumulation(self, setting):
        student, _, _, made = setting
        for factor in (3, 1):
            (factor * self.plain(*setting)).backward()
        found = tuple(p.grad / 4 for p in (*student.parameters(), *parameters_of(made)))
        self.assert_same(found, self.of(setting, self.plain))

    def test_a_second_backward_raises(self, setting):
        loss = self.plain(*setting)
        loss.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match='backward a second time.*run the forward pass'):
            loss.backward()

    def test_there_is_no_second_derivative(self, setting):
        student, x, t, made = setting
        s = student(x)
        loss = hierarchical_tat(s, t, *made, VIEWS).loss
        (gradient,) = torch.autograd.grad(loss, s, create_graph=True)
        with pytest.raises(RuntimeError):
            torch.autograd.grad(gradient.sum(), s)

    def test_only_what_asks_for_a_gradient_gets_one(self, setting):
        student, x, t, made = setting
        frozen = [q._replace(weight=q.weight.detach()) for q in made]
        hierarchical_tat(student(x).detach(), t, *frozen, VIEWS).loss.backward()
        assert all(q.weight.grad is None and q.gain.grad is not None for q in made)
        assert all(p.grad is None for p in student.parameters())

    def test_without_grad_mode_no_gradient_is_computed(self, setting, monkeypatch):
        expected = self.plain(*setting).detach()
        monkeypatch.setattr('mmrazor_tat.ops.loss.leaf_gradients', None)  # would fail if called
        with torch.no_grad():
            self.assert_same(self.plain(*setting), expected)


MEMORY = """
import torch
from measure import MIB, peak_memory
from mmrazor_tat.models import HierarchicalTaTLoss

def step(side):
    loss = HierarchicalTaTLoss(8, 8, views=[dict(type='whole')], lean=True)
    s = torch.randn(1, 8, side, side, requires_grad=True)
    loss(s, torch.randn(1, 8, side, side)).backward()

step(16)
print(peak_memory(lambda: step(192), 'cpu') / MIB)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='resident memory: Linux')
def test_memory_of_the_whole_map_does_not_grow_with_its_square(command, repo):
    """Peak resident memory, in a process of its own: three blocks of logits and the maps."""
    text = command('-c', MEMORY, cwd=repo / 'benchmarks')  # where measure.py is
    peak = float(text.split()[-1])
    blocks = 3 * CPU_BUDGET.logits * 4 / 2**20  # 48 MiB; N x N of float32 would be 5,184
    assert blocks < peak < 2 * blocks, f'{peak:.0f} MiB'


@pytest.mark.parametrize(
    's_shape, views, softmax_over, message',
    [
        (
            (1, 6, 6, 8),
            [PatchGroupView((7, 2), 1)],
            'teacher',
            'grid 7 x 2 needs a map of at least',
        ),
        ((1, 6, 6, 8), [AnchorPointView(9)], 'teacher', 'kernel 9 needs .* 9 x 9, got 6 x 8'),
        ((1, 6, 6, 8), [PatchGroupView((2, 2), 3)], 'teacher', 'groups must divide the 4 patches'),
        ((1, 6, 6, 8), [AnchorPointView()], 'both', 'softmax_over must be one of'),
        ((1, 6, 6, 5), [AnchorPointView()], 'teacher', 'needs maps of one size'),
        ((0, 6, 6, 8), [AnchorPointView()], 'teacher', 's_feature has 0 images, t_feature has 1'),
        ((2, 6, 6, 8), [AnchorPointView()], 'teacher', 's_feature has 2 images, t_feature has 1'),
    ],
)
def test_what_does_not_fit(s_shape, views, softmax_over, message):
    s, t = torch.zeros(s_shape, dtype=torch.float64), random(1, 8, 6, 8)
    with pytest.raises(ValueError, match=message):
        hierarchical_tat(s, t, *projections('image'), views, softmax_over=softmax_over)


def test_two_kinds_of_measured_norms():
    made = [*projections('image')[:2], projections('batch')[2]]
    with pytest.raises(ValueError, match="norm='image' and with norm='batch' cannot be mixed"):
        hierarchical_tat(random(1, 6, 6, 8), random(1, 8, 6, 8), *made, [AnchorPointView()])


class Denormals(TorchDispatchMode):
    """Which operations, by name, gave a number between 0 and the least normal one."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        for x in given if isinstance(given, (tuple, list)) else [given]:
            if isinstance(x, torch.Tensor) and x.is_floating_point():
                sizes = x.detach().abs()
                if ((sizes > 0) & (sizes < torch.finfo(x.dtype).tiny)).any():
                    self.found.add(func.overloadpacket.__name__)
        return given


def test_of_a_saturated_softmax_nothing_denormal_is_computed_on():
    """Its own result is flushed at once; a product of such numbers is slow on Intel's CPUs."""
    s, t = (3 * random(2, c, 12, 12, dtype=torch.float32) for c in (6, 8))
    views = [PatchGroupView((2, 2), 2, scale=1.0), AnchorPointView(1, scale=1.0)]
    with Denormals() as denormals:
        loss = hierarchical_tat(s.requires_grad_(), t, *projections(None, dtype=s.dtype), views)
        loss.loss.backward()
    # What is not computed: memory that is not filled yet, and the same memory under another name.
    passed_on = {'new_empty', 'empty', 'view', 'slice', 'unbind', 'detach', 'select', 'expand'}
    assert denormals.found - passed_on == {'softmax'}
