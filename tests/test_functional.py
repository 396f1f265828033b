"""The maths against hand-worked values, plain references and float64 gradients."""

import math
import sys

import pytest
import torch
from torch.autograd import gradcheck

from mmrazor_tat.functional import (
    anchor_points,
    attention_weights,
    patch_groups,
    target_aware_attention,
    tat_loss,
    whole_map,
)


def reference(s_key, s_value, t_query, softmax_over, scale=1.0):
    """Three lines, one image and one group at a time, in float64."""
    rows, columns = (t_query, s_key) if softmax_over == 'student' else (s_key, t_query)
    scale = rows.shape[-1] ** -0.5 if scale == 'auto' else scale
    weights = torch.exp(scale * rows.double() @ columns.double().mT)
    return weights / weights.sum(-1, keepdim=True) @ s_value.double()


def maps(*shapes, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return [
        (scale * torch.randn(s, generator=generator, dtype=torch.float64)).to(dtype) for s in shapes
    ]


def one_channel(values):
    """The tokens of a 2 x 2 map of one channel from four numbers, row-major."""
    return whole_map(torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2))


PAPER = dict(softmax_over='student', scale=1.0)  # its non-parametric equations
RELEASED = dict(softmax_over='teacher', scale=1.0)


VIEWS = {
    'whole': whole_map,
    'patch': lambda x: patch_groups(x, (2, 1), 2),
    'anchor': lambda x: anchor_points(x, 2),
}


class TestHandWorked:
    """2 x 2 maps whose softmax can be worked out on paper."""

    # exp of the key: 1, 2, 1, 1. Queries 1 and 0 give weights (1 2 1 1)/5 and (1 1 1 1)/4.
    key = one_channel([0, math.log(2), 0, 0])
    value = one_channel([5, 10, 15, 20])
    query = one_channel([1, 0, 0, 1])

    def assert_rebuilt(self, expected, value=value, query=query, **settings):
        rebuilt = target_aware_attention(self.key, value, query, **settings)
        assert rebuilt.flatten().tolist() == pytest.approx(expected, abs=1e-12)

    def test_paper_direction(self):
        # (5 + 2 * 10 + 15 + 20) / 5 = 12 and (5 + 10 + 15 + 20) / 4 = 12.5
        self.assert_rebuilt([12.0, 12.5, 12.5, 12.0], **PAPER)

    def test_released_direction(self):
        # Rows are student positions: key 0 weighs all alike; key ln 2 weighs the queries
        # (1, 0, 0, 2) with (2 1 1 4)/8: (2 * 5 + 10 + 15 + 4 * 20) / 8.
        query, expected = one_channel([1, 0, 0, 2]), [12.5, 115 / 8, 12.5, 12.5]
        self.assert_rebuilt(expected, query=query, **RELEASED)
        self.assert_rebuilt(expected, query=query)  # the default, of one channel

    def test_the_directions_differ(self):
        value = one_channel([6, 0, 0, 0])
        # paper: 6/5, 6/4, 6/4, 6/5; released: 6/4, 6 * 2/6, 6/4, 6/4
        self.assert_rebuilt([1.2, 1.5, 1.5, 1.2], value=value, **PAPER)
        self.assert_rebuilt([1.5, 2.0, 1.5, 1.5], value=value, **RELEASED)

    def test_scale(self):
        # exp(2 ln 2) = 4: (5 + 4 * 10 + 15 + 20) / 7
        expected = [80 / 7, 12.5, 12.5, 80 / 7]
        self.assert_rebuilt(expected, softmax_over='student', scale=2.0)
        # 'auto' of four channels is a half: the logits are 4 ln 2 / 2, and exp gives 4 again.
        key, query = (x.repeat(1, 1, 1, 4) for x in (self.key, self.query))
        for settings in (dict(softmax_over='student', scale='auto'), dict(softmax_over='student')):
            rebuilt = target_aware_attention(key, self.value, query, **settings)
            assert rebuilt.flatten().tolist() == pytest.approx(expected, abs=1e-12)

    def test_loss(self):
        target = one_channel([12, 12.5, 10.5, 12])
        loss = tat_loss(self.key, self.value, self.query, target, **PAPER)
        assert loss.item() == pytest.approx((12.5 - 10.5) ** 2 / 4, abs=1e-12)


class TestReference:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('side', [4, 20])  # short: stored softmax; long: the memory-lean kernel
    def test_whole_map(self, side, softmax_over):
        key, value, query = map(whole_map, maps(*((2, c, side, side) for c in (5, 7, 5))))
        for scale in (1.0, 0.3, 'auto'):
            settings = dict(softmax_over=softmax_over, scale=scale)
            result = target_aware_attention(key, value, query, **settings)
            expected = reference(key, value, query, **settings)
            assert result.shape == (2, 1, side * side, 7)
            torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize('student, teacher', [((6, 8), (3, 4)), ((3, 5), (18, 20))])
    def test_maps_of_different_sizes(self, student, teacher):
        for view in VIEWS.values():
            tokens = [*map(view, maps(*((2, 4, *size) for size in (student, student, teacher))))]
            result = target_aware_attention(*tokens, **PAPER)
            assert result.shape[2] == tokens[2].shape[2]
            torch.testing.assert_close(result, reference(*tokens, 'student'), rtol=0, atol=1e-12)


class TestAttentionWeights:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('grid', [(1, 1), (2, 2)])
    def test_against_the_plain_reference(self, softmax_over, grid):
        drawn = maps(*((2, c, 4, 6) for c in (3, 5, 3)), scale=0.5)
        key, value, query = (patch_groups(x, grid, grid[0]) for x in drawn)
        settings = dict(softmax_over=softmax_over, scale=0.7)
        weights = attention_weights(key, query, **settings)
        identity = torch.eye(key.shape[2]).expand(*key.shape[:2], -1, -1)
        expected = reference(key, identity, query, **settings)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-12)
        rebuilt = target_aware_attention(key, value, query, **settings)
        torch.testing.assert_close(weights @ value, rebuilt, rtol=0, atol=1e-12)
        some = attention_weights(key, query, rows=torch.tensor([4, 0]), **settings)
        torch.testing.assert_close(some, expected[:, :, [4, 0]], rtol=0, atol=1e-12)

    def test_of_a_long_sequence_and_other_sizes(self):
        key, value, query = map(whole_map, maps((1, 4, 18, 20), (1, 6, 18, 20), (1, 4, 9, 3)))
        weights = attention_weights(key, query, softmax_over='student')
        assert weights.shape == (1, 1, 27, 360)
        rebuilt = target_aware_attention(key, value, query, softmax_over='student')
        torch.testing.assert_close(weights @ value, rebuilt, rtol=0, atol=1e-12)

    def test_half_precision_gives_float32(self):
        key, query = (whole_map(x).bfloat16() for x in maps((1, 4, 3, 3), (1, 4, 3, 3)))
        with torch.autocast('cpu', torch.bfloat16):
            weights = attention_weights(key, query)
        assert weights.dtype == torch.float32 and (weights.sum(-1) - 1).abs().max() < 1e-6

    @pytest.mark.parametrize(
        'settings, message',
        [
            (dict(rows=torch.tensor([0, 6])), r'target positions, 0 to 5, got \[0, 6\]'),
            (dict(rows=torch.tensor([[0]])), r'rows must be \(R,\) of int64, got shape \(1, 1\)'),
            (dict(rows=torch.tensor([0.5])), 'rows must be .* of torch.float32'),
            (dict(scale='sqrt'), "scale must be a number or 'auto', got 'sqrt'"),
        ],
    )
    def test_settings_that_do_not_fit(self, settings, message):
        key, query, wide = map(whole_map, maps((1, 4, 3, 3), (1, 4, 2, 3), (1, 5, 2, 3)))
        with pytest.raises(ValueError, match=message):
            attention_weights(key, query, softmax_over='student', **settings)
        with pytest.raises(
            ValueError, match=r't_query has 5.*got s_key \(1, 1, 9, 4\), t_query \('
        ):
            attention_weights(key, wide)


class TestViews:
    def test_patch_order_is_row_major_and_channels_are_concatenated(self):
        # A pixel's value names its channel, row and column: 100 * c + 10 * row + column.
        rows, columns = torch.arange(4).view(4, 1), torch.arange(6).view(1, 6)
        plane = 10 * rows + columns
        x = torch.stack([plane, 100 + plane]).unsqueeze(0).float()  # (1, 2, 4, 6)
        groups = patch_groups(x, (2, 3), 3)  # patches of 2 x 2, two in a group
        assert groups.shape == (1, 3, 4, 4)
        # Group 0: patches (0, 0) and (0, 1); position 1 of a patch is its row 0, column 1.
        assert groups[0, 0, 1].tolist() == [1, 101, 3, 103]
        # Group 1 runs over the end of the row: patches (0, 2) and (1, 0).
        assert groups[0, 1, 0].tolist() == [4, 104, 20, 120]
        assert groups[0, 1, 2].tolist() == [14, 114, 30, 130]
        # Group 2: patches (1, 1) and (1, 2); last position.
        assert groups[0, 2, 3].tolist() == [33, 133, 35, 135]

    def test_remainder_is_dropped_at_the_bottom_and_right(self):
        x = torch.arange(15.0).view(1, 1, 3, 5)
        assert patch_groups(x, (1, 2), 2)[0, :, :, 0].tolist() == [
            [0, 1, 5, 6, 10, 11],
            [2, 3, 7, 8, 12, 13],
        ]
        assert anchor_points(x, 2).flatten().tolist() == [3.0, 5.0]

    def test_whole_map_is_row_major(self):
        x = torch.arange(12.0).view(1, 2, 2, 3)
        assert whole_map(x)[0, 0].tolist() == [[k, 6 + k] for k in range(6)]
        assert torch.equal(patch_groups(x, (1, 1), 1), whole_map(x))


class TestGradients:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('view', VIEWS)
    def test_gradcheck(self, view, softmax_over):
        def loss(*xs):
            return tat_loss(*(VIEWS[view](x) for x in xs), softmax_over=softmax_over, scale=0.7)

        inputs = [x.requires_grad_() for x in maps((2, 3, 4, 4), *[(2, 3, 4, 4)] * 3)]
        assert gradcheck(loss, inputs, fast_mode=True)

    def test_gradcheck_with_other_sizes(self):
        shapes = ((1, 2, 3, 2), (1, 4, 3, 2), (1, 2, 2, 2), (1, 4, 2, 2))
        tokens = [whole_map(x).requires_grad_() for x in maps(*shapes)]
        assert gradcheck(lambda *tokens: tat_loss(*tokens, softmax_over='student'), tokens)

    def test_long_sequences_have_the_reference_s_gradient(self):
        # 400 positions and unequal widths: the memory-lean kernel, with padding.
        inputs = [x.requires_grad_() for x in maps((1, 3, 20, 20), (1, 5, 20, 20), (1, 3, 20, 20))]
        tokens = [whole_map(x) for x in inputs]
        (weight,) = maps((1, 1, 400, 5))
        lean = target_aware_attention(*tokens, softmax_over='student', scale=1.0)
        lean = torch.autograd.grad((lean * weight).sum(), inputs)
        plain = torch.autograd.grad((reference(*tokens, 'student') * weight).sum(), inputs)
        for a, b in zip(lean, plain):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


class TestPrecision:
    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize('side', [4, 18])
    def test_large_logits_in_half_precision(self, dtype, side):
        # Logits of some 1e5: float16 would overflow, and exp of them does in any precision.
        inputs = maps(*[(1, 16, side, side)] * 3, dtype=dtype, scale=80)
        key, value, query = (whole_map(x) for x in inputs)
        logits = query.double() @ key.double().mT
        assert logits.abs().max() > torch.finfo(torch.float16).max
        result = target_aware_attention(key, value, query, softmax_over='student', scale=1.0)
        expected = logits.softmax(-1) @ value.double()
        assert result.dtype == torch.float32
        torch.testing.assert_close(result.double(), expected, rtol=1e-3, atol=0.5)
        assert torch.isfinite(result).all()


MEMORY = """
import torch
from measure import MIB, peak_memory
from mmrazor_tat.models import TaTLoss

def step(side):
    key = torch.randn(1, {width}, side, side, requires_grad=True)
    value = torch.randn(1, {value}, side, side, requires_grad=True)
    query = torch.randn(1, {width}, side, side, requires_grad=True)
    TaTLoss()(key, value, query, torch.randn(1, {value}, side, side)).backward()

step(20)
print(peak_memory(lambda: step({side}), 'cpu') / MIB)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='resident memory: Linux')
@pytest.mark.parametrize('width, value', [(16, 16), (16, 24)])
def test_long_sequences_store_no_n_by_n_matrix(command, repo, width, value):
    """Peak resident memory, in a process of its own; maps come in as the losses get them."""
    side = 112
    matrix = (side * side) ** 2 * 4 / 2**20  # one N x N of float32: 600 MiB
    maps = 2 * (width + value) * side**2 * 4 / 2**20
    code = MEMORY.format(width=width, value=value, side=side)
    text = command('-c', code, cwd=repo / 'benchmarks')  # where measure.py is
    peak = float(text.split()[-1])
    assert maps < peak < matrix / 4, f'{peak:.0f} MiB above the start, N x N is {matrix:.0f} MiB'


X = torch.zeros(1, 3, 6, 8)


@pytest.mark.parametrize(
    'view, arguments, message',
    [
        (patch_groups, (X, (7, 8), 1), 'grid 7 x 8 needs a map of at least 7 x 8, got 6 x 8'),
        (
            patch_groups,
            (X, (2, 3), 4),
            r'groups must divide the 6 .* got 4.*of \[1, 2, 3, 6\] fits',
        ),
        (patch_groups, (X, (2, 0), 1), 'grid must be two positive integers'),
        (patch_groups, (X, 4, 1), 'grid must be two positive integers'),
        (anchor_points, (X, 7), 'kernel 7 .* 7 x 7, got 6 x 8.*a kernel of at most 3 leaves'),
        (anchor_points, (X, 0), 'kernel must be a positive integer, got 0'),
        (whole_map, (X[0],), r'a map must be \(B, C, H, W\), got shape \(3, 6, 8\)'),
    ],
)
def test_views_that_do_not_fit(view, arguments, message):
    with pytest.raises(ValueError, match=message):
        view(*arguments)


A = (1, 1, 4, 3)


@pytest.mark.parametrize(
    'shapes, softmax_over, message',
    [
        ((A, A, (1, 1, 4, 2), A), 'teacher', 's_key has 3 channels'),
        ((A, A, A, (1, 1, 4, 6)), 'teacher', 's_value has 3 channels, t_feature has 6'),
        ((A, (1, 1, 5, 3), A, A), 'teacher', 'same student map'),
        (((1, 2, 4, 3), (1, 2, 4, 3), A, A), 'teacher', 'batch and groups'),
        ((A, A, A, (1, 1, 9, 3)), 'teacher', 'same teacher map'),
        ((A, A, *[(1, 1, 9, 3)] * 2), 'teacher', 'as many student as teacher .*, got 4 and 9'),
        ((A, A, A, A), 'both', "one of .'student', 'teacher'.*'both'"),
    ],
)
def test_tokens_that_do_not_fit(shapes, softmax_over, message):
    with pytest.raises(ValueError, match=message):
        tat_loss(*map(torch.zeros, shapes), softmax_over=softmax_over)


class TestSaturated:
    """Weights that nothing can see are zero: products with them are slow on some processors."""

    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize(('dtype', 'least'), [(torch.float32, 1e-20), (torch.float64, 1e-155)])
    def test_no_weight_is_tiny_and_nothing_else_changes(self, dtype, least, softmax_over):
        factor = 5 if dtype == torch.float32 else 20
        key, query, value = maps(*[(2, 1, 32, 16)] * 3, dtype=dtype, scale=factor)
        key.requires_grad_()
        weights = attention_weights(key, query, softmax_over=softmax_over, scale=1.0)
        rows = (query, key) if softmax_over == 'student' else (key, query)
        plain = (rows[0] @ rows[1].mT).softmax(-1)
        assert ((plain > 0) & (plain < least)).any()
        assert not ((weights > 0) & (weights < least)).any()
        assert torch.equal(weights[plain > 2 * least], plain[plain > 2 * least])
        settings = dict(softmax_over=softmax_over, scale=1.0)
        found = target_aware_attention(key, value, query, **settings).square().sum()
        expected = (plain @ value).square().sum()
        assert found == expected
        gradients = [torch.autograd.grad(x, key)[0] for x in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)
