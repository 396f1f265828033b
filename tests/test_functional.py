"""The maths against hand-worked values, plain references and float64 gradients."""

import math
import subprocess
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
    """A 2 x 2 map of one channel from four numbers, row-major."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2)


PAPER = dict(softmax_over='student', scale=1.0)  # its non-parametric equations
RELEASED = dict(softmax_over='teacher', scale=1.0)


class TestHandWorked:
    """2 x 2 maps whose softmax can be worked out on paper."""

    # exp of the key: 1, 2, 1, 1. Queries 1 and 0 give weights (1 2 1 1)/5 and (1 1 1 1)/4.
    key = one_channel([0, math.log(2), 0, 0])
    value = one_channel([5, 10, 15, 20])
    query = one_channel([1, 0, 0, 1])

    def test_paper_direction(self):
        rebuilt = target_aware_attention(
            whole_map(self.key), whole_map(self.value), whole_map(self.query), **PAPER
        )
        # (5 + 2 * 10 + 15 + 20) / 5 = 12 and (5 + 10 + 15 + 20) / 4 = 12.5
        expected = torch.tensor([12.0, 12.5, 12.5, 12.0], dtype=torch.float64)
        torch.testing.assert_close(rebuilt.flatten(), expected, rtol=0, atol=1e-12)

    def test_released_direction(self):
        rebuilt = target_aware_attention(
            whole_map(self.key),
            whole_map(self.value),
            whole_map(one_channel([1, 0, 0, 2])),
            **RELEASED,
        )
        # Rows are student positions: key 0 weighs all alike; key ln 2 weighs the queries
        # (1, 0, 0, 2) with (2 1 1 4)/8: (2 * 5 + 10 + 15 + 4 * 20) / 8.
        expected = torch.tensor([12.5, 115 / 8, 12.5, 12.5], dtype=torch.float64)
        torch.testing.assert_close(rebuilt.flatten(), expected, rtol=0, atol=1e-12)

    def test_the_directions_differ(self):
        value = one_channel([6, 0, 0, 0])
        tokens = [whole_map(x) for x in (self.key, value, self.query)]
        paper = target_aware_attention(*tokens, **PAPER).flatten().tolist()
        released = target_aware_attention(*tokens, **RELEASED).flatten().tolist()
        # paper: 6/5, 6/4, 6/4, 6/5; released: 6/4, 6 * 2/6, 6/4, 6/4
        assert paper == pytest.approx([1.2, 1.5, 1.5, 1.2], abs=1e-12)
        assert released == pytest.approx([1.5, 2.0, 1.5, 1.5], abs=1e-12)

    def test_scale(self):
        rebuilt = target_aware_attention(
            whole_map(self.key),
            whole_map(self.value),
            whole_map(self.query),
            softmax_over='student',
            scale=2.0,
        )
        # exp(2 ln 2) = 4: (5 + 4 * 10 + 15 + 20) / 7
        assert rebuilt.flatten()[0].item() == pytest.approx(80 / 7, abs=1e-12)

    def test_the_scale_of_four_channels_is_a_half(self):
        key, query = (x.repeat(1, 4, 1, 1) for x in (self.key, self.query))
        tokens = [whole_map(x) for x in (key, self.value, query)]
        rebuilt = target_aware_attention(*tokens, softmax_over='student', scale='auto')
        # The logits are 4 ln 2 / 2: exp gives 4 again.
        assert rebuilt.flatten()[0].item() == pytest.approx(80 / 7, abs=1e-12)
        assert torch.equal(rebuilt, target_aware_attention(*tokens, softmax_over='student'))

    def test_the_default_is_over_the_teacher(self):
        tokens = [whole_map(x) for x in (self.key, self.value, self.query)]
        assert torch.equal(
            target_aware_attention(*tokens), target_aware_attention(*tokens, **RELEASED)
        )

    def test_loss(self):
        target = whole_map(one_channel([12, 12.5, 10.5, 12]))
        loss = tat_loss(
            whole_map(self.key), whole_map(self.value), whole_map(self.query), target, **PAPER
        )
        assert loss.item() == pytest.approx((12.5 - 10.5) ** 2 / 4, abs=1e-12)

    def test_patch_groups_of_one_pixel(self):
        # 2 x 2 patches of one pixel in two groups: group 0 holds pixels 0 and 1 as two channels of
        # one position, so its softmax is over one position: the value itself comes back.
        views = [patch_groups(x, (2, 2), 2) for x in (self.key, self.value, self.query)]
        rebuilt = target_aware_attention(*views)
        assert rebuilt.tolist() == [[[[5.0, 10.0]], [[15.0, 20.0]]]]

    def test_anchor_points(self):
        assert anchor_points(self.value, 2).tolist() == [[[[12.5]]]]


class TestReference:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('side', [4, 20])  # short: stored softmax; long: the memory-lean kernel
    @pytest.mark.parametrize('scale', [1.0, 0.3, 'auto'])
    def test_whole_map(self, scale, side, softmax_over):
        key, value, query = (
            whole_map(x) for x in maps((2, 5, side, side), (2, 7, side, side), (2, 5, side, side))
        )
        result = target_aware_attention(key, value, query, softmax_over=softmax_over, scale=scale)
        expected = reference(key, value, query, softmax_over, scale)
        assert result.shape == (2, 1, side * side, 7)
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('grid, groups', [((2, 3), 1), ((2, 3), 3), ((3, 2), 6), ((1, 1), 1)])
    def test_patch_groups(self, softmax_over, grid, groups):
        tokens = [patch_groups(x, grid, groups) for x in maps(*[(2, 4, 7, 6)] * 3, scale=0.5)]
        result = target_aware_attention(*tokens, softmax_over=softmax_over)
        expected = reference(*tokens, softmax_over, 'auto')
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize('student, teacher', [((6, 8), (3, 4)), ((3, 5), (18, 20))])
    def test_maps_of_different_sizes(self, student, teacher):
        for view in (
            whole_map,
            lambda x: patch_groups(x, (3, 2), 3),
            lambda x: anchor_points(x, 2),
        ):
            key, value, query = (
                view(x) for x in maps((2, 4, *student), (2, 4, *student), (2, 4, *teacher))
            )
            result = target_aware_attention(key, value, query, **PAPER)
            assert result.shape[2] == query.shape[2]
            torch.testing.assert_close(
                result, reference(key, value, query, 'student'), rtol=0, atol=1e-12
            )

    def test_a_row_of_weights_sums_to_one(self):
        key, query = (whole_map(x) for x in maps((2, 4, 18, 18), (2, 4, 18, 18)))
        ones = torch.ones_like(key)
        torch.testing.assert_close(
            target_aware_attention(key, ones, query), ones, rtol=0, atol=1e-12
        )


class TestAttentionWeights:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('grid', [(1, 1), (2, 2)])
    def test_against_the_plain_reference(self, softmax_over, grid):
        key, value, query = (
            patch_groups(x, grid, grid[0])
            for x in maps((2, 3, 4, 6), (2, 5, 4, 6), (2, 3, 4, 6), scale=0.5)
        )
        settings = dict(softmax_over=softmax_over, scale=0.7)
        weights = attention_weights(key, query, **settings)
        rows, columns = (query, key) if softmax_over == 'student' else (key, query)
        expected = torch.exp(0.7 * rows @ columns.mT)
        expected = expected / expected.sum(-1, keepdim=True)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-12)
        assert weights.sum(-1).sub(1).abs().max() < 1e-12
        rebuilt = target_aware_attention(key, value, query, **settings)
        torch.testing.assert_close(weights @ value, rebuilt, rtol=0, atol=1e-12)
        some = attention_weights(key, query, rows=torch.tensor([4, 0]), **settings)
        torch.testing.assert_close(some, expected[:, :, [4, 0]], rtol=0, atol=1e-12)

    def test_of_a_long_sequence_and_other_sizes(self):
        key, value, query = (
            whole_map(x) for x in maps((1, 4, 18, 20), (1, 6, 18, 20), (1, 4, 9, 3))
        )
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
        ('rows', 'message'),
        [
            ([0, 9], r'rows must be target positions, 0 to 5, got \[0, 9\]'),
            ([[0]], r'rows must be \(R,\) of int64, got shape \(1, 1\)'),
            ([0.5], 'rows must be .* of torch.float32'),
        ],
    )
    def test_rows_that_are_not_there(self, rows, message):
        key, query = (whole_map(x) for x in maps((1, 4, 3, 3), (1, 4, 2, 3)))
        with pytest.raises(ValueError, match=message):
            attention_weights(key, query, softmax_over='student', rows=torch.tensor(rows))

    def test_an_unknown_scale(self):
        (key,) = (whole_map(x) for x in maps((1, 4, 3, 3)))
        with pytest.raises(ValueError, match="scale must be a number or 'auto', got 'sqrt'"):
            attention_weights(key, key, scale='sqrt')

    def test_shapes_that_do_not_fit(self):
        key, query = (whole_map(x) for x in maps((1, 4, 3, 3), (1, 5, 3, 3)))
        message = r's_key has 4 channels, t_query has 5.*got s_key \(1, 1, 9, 4\), t_query \(1'
        with pytest.raises(ValueError, match=message):
            attention_weights(key, query)


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

    def test_one_group_of_one_patch_is_the_whole_map(self):
        (x,) = maps((2, 3, 4, 5))
        assert torch.equal(patch_groups(x, (1, 1), 1), whole_map(x))


VIEWS = {
    'whole': whole_map,
    'patch': lambda x: patch_groups(x, (2, 1), 2),
    'anchor': lambda x: anchor_points(x, 2),
}


class TestGradients:
    @pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
    @pytest.mark.parametrize('view', VIEWS)
    def test_gradcheck(self, view, softmax_over):
        def loss(*xs):
            return tat_loss(*(VIEWS[view](x) for x in xs), softmax_over=softmax_over, scale=0.7)

        inputs = [x.requires_grad_() for x in maps((2, 3, 4, 4), *[(2, 3, 4, 4)] * 3)]
        assert gradcheck(loss, inputs)

    def test_gradcheck_with_other_sizes(self):
        inputs = [
            x.requires_grad_() for x in maps((1, 2, 3, 2), (1, 4, 3, 2), (1, 2, 2, 2), (1, 4, 2, 2))
        ]
        assert gradcheck(
            lambda *xs: tat_loss(*(whole_map(x) for x in xs), softmax_over='student'), inputs
        )

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

    def test_autocast_changes_nothing(self):
        tokens = [whole_map(x) for x in maps(*[(2, 8, 6, 6)] * 4, dtype=torch.float32)]
        plain = tat_loss(*tokens)
        with torch.autocast('cpu', torch.bfloat16):
            cast = tat_loss(*tokens)
        assert cast.dtype == torch.float32
        assert torch.equal(plain, cast)


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
def test_long_sequences_store_no_n_by_n_matrix(width, value):
    """Peak resident memory, in a process of its own; maps come in as the losses get them."""
    side = 112
    matrix = (side * side) ** 2 * 4 / 2**20  # one N x N of float32: 600 MiB
    maps = 2 * (width + value) * side**2 * 4 / 2**20
    code = MEMORY.format(width=width, value=value, side=side)
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    peak = float(run.stdout.split()[-1])
    assert maps < peak < matrix / 4, f'{peak:.0f} MiB above the start, N x N is {matrix:.0f} MiB'


class TestErrors:
    x = torch.zeros(1, 3, 6, 8)

    @pytest.mark.parametrize(
        'call, message',
        [
            (
                lambda x: patch_groups(x, (7, 8), 1),
                'grid 7 x 8 needs a map of at least 7 x 8, got 6 x 8',
            ),
            (lambda x: patch_groups(x, (2, 3), 4), r'groups must divide the 6 patches .* got 4'),
            (lambda x: patch_groups(x, (2, 3), 4), r'one of \[1, 2, 3, 6\] fits'),
            (lambda x: patch_groups(x, (2, 0), 1), 'grid must be two positive integers'),
            (lambda x: patch_groups(x, 4, 1), 'grid must be two positive integers'),
            (lambda x: anchor_points(x, 7), 'kernel 7 needs a map of at least 7 x 7, got 6 x 8'),
            (lambda x: anchor_points(x, 7), 'a kernel of at most 3 leaves'),
            (lambda x: anchor_points(x, 0), 'kernel must be a positive integer, got 0'),
            (lambda x: whole_map(x[0]), r'a map must be \(B, C, H, W\), got shape \(3, 6, 8\)'),
        ],
    )
    def test_views(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(self.x)

    @pytest.mark.parametrize(
        'shapes, options, message',
        [
            (((1, 1, 4, 3), (1, 1, 4, 5), (1, 1, 4, 2), (1, 1, 4, 5)), {}, 's_key has 3 channels'),
            (
                ((1, 1, 4, 3), (1, 1, 4, 5), (1, 1, 4, 3), (1, 1, 4, 6)),
                {},
                's_value has 5 channels, t_feature has 6',
            ),
            (((1, 1, 4, 3), (1, 1, 5, 3), (1, 1, 4, 3), (1, 1, 4, 3)), {}, 'same student map'),
            (((1, 2, 4, 3), (1, 2, 4, 3), (1, 1, 4, 3), (1, 1, 4, 3)), {}, 'batch and groups'),
            (((1, 1, 4, 3), (1, 1, 4, 3), (1, 1, 4, 3), (1, 1, 9, 3)), {}, 'same teacher map'),
            (
                ((1, 1, 4, 3), (1, 1, 4, 3), (1, 1, 9, 3), (1, 1, 9, 3)),
                dict(softmax_over='teacher'),
                'as many student as teacher positions, got 4 and 9',
            ),
            (
                ((1, 1, 4, 3),) * 4,
                dict(softmax_over='both'),
                "one of .'student', 'teacher'.*'both'",
            ),
        ],
    )
    def test_tokens(self, shapes, options, message):
        with pytest.raises(ValueError, match=message):
            tat_loss(*(torch.zeros(shape) for shape in shapes), **options)
