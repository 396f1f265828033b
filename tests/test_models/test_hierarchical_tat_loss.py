"""The loss on the lean operator against its composed form; the maths itself is in test_ops.py."""

import copy

import pytest
import torch
from drawn import build
from drawn import maps as drawn
from torch import nn

from mmrazor_tat.models import HierarchicalTaTLoss, TaTConnector

VIEWS = [
    dict(type='patch', grid=(2, 3), groups=2, weight=0.3),
    dict(type='anchor', kernel=2, weight=0.5),
    dict(type='whole', weight=0.2),
]


def make(**options) -> HierarchicalTaTLoss:
    torch.manual_seed(0)
    options = {**dict(in_channel=4, out_channel=6, views=VIEWS, lean=True), **options}
    loss = build(type='HierarchicalTaTLoss', **options).double()
    for parameter in loss.parameters():  # also the gains and biases, which start at 1 and 0
        nn.init.normal_(parameter)
    return loss


def composed(loss: HierarchicalTaTLoss) -> HierarchicalTaTLoss:
    other = copy.deepcopy(loss)
    other.lean = False
    return other


def maps(student=(2, 4, 9, 10), teacher=(2, 6, 9, 10)):
    s, t = drawn(student, teacher, seed=1)
    return s.requires_grad_(), t


def assert_same_loss_and_gradients(a: HierarchicalTaTLoss, b: HierarchicalTaTLoss, s, t, tol=1e-12):
    of_a, of_b = a(s, t), b(s, t)
    torch.testing.assert_close(of_a, of_b, rtol=0, atol=tol)
    torch.testing.assert_close(a.logged_values, b.logged_values, rtol=0, atol=tol)
    found, expected = (
        torch.autograd.grad(x, [s, *loss.parameters()], materialize_grads=True)
        for x, loss in ((of_a, a), (of_b, b))
    )
    torch.testing.assert_close(found, expected, rtol=tol, atol=tol)
    torch.testing.assert_close(dict(a.named_buffers()), dict(b.named_buffers()), rtol=0, atol=tol)


NORMS = {
    'instance': dict(type='IN', affine=True),
    'instance, no affine': dict(type='IN', affine=False),
    'batch': dict(type='BN'),
    'batch, cumulative': dict(type='BN', momentum=None),
    'batch, no running': dict(type='BN', track_running_stats=False),
    'none': None,
}


class TestEqualToTheComposedForm:
    @pytest.mark.parametrize('training', [True, False])
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('norm', NORMS)
    def test_norms_and_directions(self, norm, softmax_over, training):
        loss = make(norm_cfg=NORMS[norm], softmax_over=softmax_over, scale=0.3).train(training)
        for name, x in loss.named_buffers():
            if name.endswith(('mean', 'var')):
                x.copy_(torch.rand_like(x) + 0.5)
        assert loss.runs_lean(*maps())
        s, t = maps()
        other = composed(loss)
        assert_same_loss_and_gradients(loss, other, s, t)
        assert_same_loss_and_gradients(loss, other, s * 2, t)  # the running statistics, twice

    @pytest.mark.parametrize(
        'projections', [('gamma', 'phi', 'theta'), ('gamma', 'phi'), ('theta',), ('gamma',), ()]
    )
    @pytest.mark.parametrize('norm', ['instance', 'batch', 'none'])
    def test_identities(self, projections, norm):
        loss = make(in_channel=6, projections=projections, norm_cfg=NORMS[norm], scale=0.3)
        assert loss.runs_lean(*maps())
        assert len(list(loss.parameters())) == len(projections) * (1 if norm == 'none' else 3)
        assert_same_loss_and_gradients(loss, composed(loss), *maps(student=(2, 6, 9, 10)))

    @pytest.mark.parametrize('norm', ['instance', 'batch'])
    def test_a_scale_for_each_view_and_maps_of_two_sizes(self, norm):
        views = [dict(VIEWS[0], scale=0.3), dict(VIEWS[1], scale='auto'), VIEWS[2]]
        loss = make(views=views, softmax_over='student', scale=0.1, norm_cfg=NORMS[norm])
        assert [view.scale for view in loss.views.values()] == [0.3, 'auto', 0.1]
        assert loss.runs_lean(*maps())
        assert_same_loss_and_gradients(loss, composed(loss), *maps((3, 4, 8, 13), (3, 6, 5, 7)))

    @pytest.mark.parametrize(
        'options, why',
        [
            (dict(kernel_size=3), 'a 3 x 3 kernel is not one affine map of a position'),
            (dict(norm_cfg=dict(type='GN', num_groups=2)), 'another norm'),
            (dict(norm_cfg=dict(type='IN', affine=True, track_running_stats=True)), 'running IN'),
        ],
    )
    def test_what_the_lean_operator_does_not_cover_runs_composed(self, options, why):
        loss = make(scale=0.3, **options)
        assert not loss.runs_lean(*maps()), why
        s, t = maps()
        key, value, query = loss.gamma(s), loss.phi(s), loss.theta(t)
        expected = sum(view(key, value, query, t) for view in loss.views.values())
        torch.testing.assert_close(loss(s, t), expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize(
        'kind, view, settings',
        [
            ('PatchGroupTaTLoss', 'patch', dict(grid=(2, 3), groups=2)),
            ('AnchorPointTaTLoss', 'anchor', dict(kernel=2)),
            ('TaTLoss', 'whole', {}),
        ],
    )
    def test_it_equals_separate_losses_behind_connectors(self, kind, view, settings):
        """Not a form of the same class: what a config of three connectors and a loss gives."""
        loss = make(views=[dict(settings, type=view, weight=0.3)], scale=0.3)
        connectors = nn.ModuleDict({k: TaTConnector(4, 6) for k in ('gamma', 'phi')}).double()
        connectors['theta'] = TaTConnector(6, 6).double()
        weights = {k: v for k, v in loss.state_dict().items() if not k.startswith('views')}
        connectors.load_state_dict(weights)
        s, t = maps()
        t.requires_grad_()
        separate = build(type=kind, loss_weight=0.3, scale=0.3, **settings)
        tokens = connectors['gamma'](s), connectors['phi'](s), connectors['theta'](t.detach())
        expected = separate(*tokens, t)
        torch.testing.assert_close(loss(s, t), expected, rtol=0, atol=1e-12)
        expected.backward()
        assert t.grad is None and s.grad.abs().sum() > 0


class TestUse:
    @pytest.mark.parametrize(
        'norm, size, is_lean',
        [
            ('instance', (2, 6, 6, 8), True),  # 48 positions, 8 times 6 channels
            ('instance', (2, 6, 6, 7), False),
            ('batch', (2, 6, 6, 7), True),
            ('batch', (1, 6, 6, 7), False),
            ('none', (2, 6, 6, 7), True),
        ],
    )
    def test_auto_takes_the_lean_operator_where_it_pays(self, norm, size, is_lean):
        loss = make(in_channel=6, lean='auto', norm_cfg=NORMS[norm], views=VIEWS[1:], scale=0.3)
        s, t = maps(size, size)
        assert loss.runs_lean(s, t) == is_lean
        assert_same_loss_and_gradients(loss, composed(loss), s, t)

    def test_values_are_the_summands_by_name(self):
        settings = dict(views=[*VIEWS, dict(type='anchor', kernel=3, name='coarse')])
        once, thrice = make(**settings), make(**settings, loss_weight=3.0)
        total = once(*maps())
        assert list(once.logged_values) == ['patch', 'anchor', 'whole', 'coarse']
        torch.testing.assert_close(sum(once.logged_values.values()), total.detach())
        assert not any(value.requires_grad for value in once.logged_values.values())
        torch.testing.assert_close(thrice(*maps()), 3 * total, rtol=1e-12, atol=0)
        torch.testing.assert_close(thrice.logged_values['anchor'], 3 * once.logged_values['anchor'])

    def test_every_parameter_has_a_gradient_and_the_teacher_none(self):
        """DDP without find_unused_parameters needs zeros, not None."""
        loss = make()
        s, t = maps()
        loss(s, t.requires_grad_()).backward()
        assert t.grad is None
        zero = [name for name, p in loss.named_parameters() if p.grad.abs().sum() == 0]
        assert zero == ['theta.norm.bias']  # a softmax does not see a shift of its row

    def test_channels_are_set_once(self):
        loss = HierarchicalTaTLoss(views=VIEWS)
        assert not loss.has_channels and not list(loss.parameters())
        with pytest.raises(RuntimeError, match='no channels yet: give in_channel and out_channel'):
            loss(*maps())
        loss.set_channels(4, 6)
        loss.set_channels(4, 6)
        assert loss.gamma.conv.weight.shape == (6, 4, 1, 1)
        assert loss.theta.conv.weight.shape == (6, 6, 1, 1)
        with pytest.raises(ValueError, match="in_channel is 4, the student's map has 5 channels"):
            loss.set_channels(5, 6)


BAD_VIEWS = [
    ([], 'views must be a list of at least one dict'),
    (dict(type='whole'), 'views must be a list of at least one dict'),
    ([dict(type='patches')], r"views\[0\] must be a dict with a type of .*'patch'"),
    ([dict(type='patch', grid=(2, 2))], r"views\[0\] of type 'patch': .*groups"),
    ([dict(type='whole', grid=2)], r"views\[0\] of type 'whole': .*grid"),
    ([dict(type='anchor', kernel=2.5)], 'kernel must be a positive integer, got 2.5'),
    ([dict(type='patch', grid=(2, 3), groups=4)], 'groups must divide the 6 patches'),
    ([dict(type='patch', grid='4x4', groups=2)], 'grid must be two positive integers'),
    ([VIEWS[0], VIEWS[0]], r"views\[1\] is the second one named 'patch'"),
    ([dict(type='whole', name='loss_whole')], r"views\[0\].name .* 'loss_whole'"),
    ([dict(type='whole', name='keys')], r"views\[0\].name 'keys' is taken by torch"),
    ([dict(type='whole', name='a.b')], r"views\[0\].name must be a word .* 'a.b'"),
    ([dict(type='whole', weight=-1)], r'views\[0\].weight must be .* got -1'),
]
BAD_SETTINGS = [
    (dict(loss_weight=float('inf')), 'loss_weight must be a finite number'),
    (dict(scale=True), 'scale must be a finite number'),
    (dict(scale=-1.0), 'scale must be a finite number of at least 0'),
    (dict(scale='sqrt'), "scale must be a number or 'auto', got 'sqrt'"),
    (dict(softmax_over='both'), "softmax_over must be one of .* got 'both'"),
    (dict(projections=('gamma', 'psi')), r"projections must be some of .*got \('gamma', 'psi'"),
    (dict(projections='gamma'), 'projections must be some of'),
    (dict(projections=('phi', 'theta')), 'projections leave gamma out, so .* got 4 and 6'),
    (dict(lean='yes'), "lean must be True, False or 'auto', got 'yes'"),
    (dict(kernel_size=2), 'kernel_size must be a positive odd integer'),
    *((dict(views=views), message) for views, message in BAD_VIEWS),
]


@pytest.mark.parametrize('settings, message', BAD_SETTINGS)
def test_settings_are_checked_when_built(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    'student, teacher, message',
    [
        ((2, 5, 9, 10), (2, 6, 9, 10), r's_feature has shape \(2, 5, 9, 10\), in_channel=4 needs'),
        ((2, 4, 9, 10), (2, 7, 9, 10), r't_feature has shape .* out_channel=6 needs'),
        ((2, 4, 9, 10), (1, 6, 9, 10), 's_feature has 2 images, t_feature has 1'),
    ],
)
def test_maps_are_checked(student, teacher, message):
    with pytest.raises(ValueError, match=message):
        make(softmax_over='student')(*maps(student, teacher))


@pytest.mark.parametrize('lean', [True, False])
@pytest.mark.parametrize('norm', ['instance', 'batch'])
def test_a_norm_over_one_position_raises(norm, lean):
    """And leaves the running statistics alone: they were NaN."""
    loss = make(norm_cfg=NORMS[norm], views=VIEWS[2:], lean=lean, softmax_over='student')
    with pytest.raises(ValueError, match='Expected more than 1'):
        loss(*maps((1, 4, 9, 10), (1, 6, 1, 1)))
    assert all(x.isfinite().all() for x in loss.buffers())
