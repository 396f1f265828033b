"""Drawn map sizes, channels, grids, groups and kernels: each works and equals a loop written from
the paper's equations, or fails with the error that is promised for it."""

import math

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mmrazor_tat.models import HierarchicalTaTLoss

SIDES = st.integers(1, 9)
CHANNELS = st.integers(1, 5)
PROJECTIONS = ('gamma', 'phi', 'theta')
VIEWS = st.one_of(
    st.fixed_dictionaries(
        dict(
            type=st.just('patch'),
            grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
            groups=st.integers(1, 9),
        )
    ),
    st.fixed_dictionaries(dict(type=st.just('anchor'), kernel=st.integers(1, 5))),
    st.fixed_dictionaries(dict(type=st.just('whole'))),
)


@st.composite
def cases(draw) -> dict:
    return dict(
        batch=draw(st.integers(1, 3)),
        s_size=(draw(SIDES), draw(SIDES)),
        t_size=(draw(SIDES), draw(SIDES)),
        channels=(draw(CHANNELS), draw(CHANNELS)),
        views=draw(st.lists(VIEWS, min_size=1, max_size=2)),
        softmax_over=draw(st.sampled_from(['student', 'student', 'teacher'])),
        scale=draw(st.sampled_from([1.0, 0.5])),
        lean=draw(st.booleans()),
        norm=draw(st.sampled_from([None, 'IN', 'BN'])),
    )


def cut(size: tuple[int, int], view: dict) -> tuple[int, int]:
    """The positions of a softmax along height and width; 0 where the view does not fit."""
    if view['type'] == 'patch':
        return size[0] // view['grid'][0], size[1] // view['grid'][1]
    kernel = view.get('kernel', 1)
    return size[0] // kernel, size[1] // kernel


def promised_error(case: dict) -> str | None:
    """A part of the message of the error that this case is to give, the first of several."""
    for view in case['views']:
        if view['type'] == 'patch':
            rows, columns = view['grid']
            if (rows * columns) % view['groups']:
                return f'groups must divide the {rows * columns} patches of grid {rows} x {columns}'
    if case['softmax_over'] == 'teacher' and case['s_size'] != case['t_size']:
        return "softmax_over='teacher' needs maps of one size"
    for view in case['views']:
        for size in (case['s_size'], case['t_size']):
            if 0 in cut(size, view):
                return f'needs a map of at least .* got {size[0]} x {size[1]}'
        if math.prod(cut(case[f'{case["softmax_over"][0]}_size'], view)) == 1:
            return 'leaves one position of a map of .* gamma and theta would learn nothing'
    return None


def tokens(x: list, view: dict) -> list[list[list[float]]]:
    """Groups of tokens of one image, x[c][i][j], by loops."""
    channels, (height, width) = len(x), (len(x[0]), len(x[0][0]))
    h, w = cut((height, width), view)
    if view['type'] != 'patch':
        k = view.get('kernel', 1)
        return [
            [
                [
                    sum(x[c][k * i + a][k * j + b] for a in range(k) for b in range(k)) / k**2
                    for c in range(channels)
                ]
                for i in range(h)
                for j in range(w)
            ]
        ]
    rows, columns = view['grid']
    patches = [(r, c) for r in range(rows) for c in range(columns)]
    size = len(patches) // view['groups']
    return [
        [
            [
                x[channel][r * h + i][c * w + j]
                for r, c in patches[g * size : (g + 1) * size]
                for channel in range(channels)
            ]
            for i in range(h)
            for j in range(w)
        ]
        for g in range(view['groups'])
    ]


def by_loops(key, value, query, target, view: dict, case: dict) -> float:
    """The loss of maps that are projected already, written from equations 1 to 4."""
    errors = []
    for maps in zip(*(x.tolist() for x in (key, value, query, target))):
        for k, v, q, t in zip(*(tokens(x, view) for x in maps)):
            dot = [[case['scale'] * sum(a * b for a, b in zip(x, y)) for y in k] for x in q]
            if case['softmax_over'] == 'teacher':  # rows are student positions
                dot = [list(row) for row in zip(*dot)]
            for i, row in enumerate(dot):
                top = max(row)
                weights = [math.exp(x - top) for x in row]
                source = v
                rebuilt = [
                    sum(w * source[j][c] for j, w in enumerate(weights)) / sum(weights)
                    for c in range(len(t[0]))
                ]
                errors += [(a - b) ** 2 for a, b in zip(rebuilt, t[i])]
    return sum(errors) / len(errors)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(case=cases())
def test_works_or_says_why(case):
    s_channels, t_channels = case['channels']
    views = [dict(view, weight=w, name=n) for view, w, n in zip(case['views'], (1, 0.3), 'ab')]
    generator = torch.Generator().manual_seed(0)
    s, t = (
        torch.randn(case['batch'], c, *size, generator=generator, dtype=torch.float64)
        for c, size in ((s_channels, case['s_size']), (t_channels, case['t_size']))
    )

    def run():
        torch.manual_seed(0)
        loss = HierarchicalTaTLoss(
            s_channels,
            t_channels,
            views,
            norm_cfg=None if case['norm'] is None else dict(type=case['norm']),
            softmax_over=case['softmax_over'],
            scale=case['scale'],
            lean=case['lean'],
        ).double()
        return loss, loss(s.requires_grad_(), t)

    message = promised_error(case)
    event(message.split(' ')[0] if message else 'works')
    if message is not None:
        with pytest.raises(ValueError, match=message):
            run()
        return
    alone = {'IN': 1, 'BN': case['batch']}.get(case['norm'], 2)
    if any(alone * size[0] * size[1] == 1 for size in (case['s_size'], case['t_size'])):
        with pytest.raises(ValueError, match='more than 1 (spatial element|value per channel)'):
            run()
        return
    loss, value = run()
    (gradient,) = torch.autograd.grad(value, s)
    assert gradient.isfinite().all()
    with torch.no_grad():
        key, rebuilt, query = (getattr(loss, name)(x) for name, x in zip(PROJECTIONS, (s, s, t)))
    for view in views:
        expected = view['weight'] * by_loops(key, rebuilt, query, t, view, case)
        found = loss.logged_values[view['name']].item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert value.item() == pytest.approx(sum(loss.logged_values.values()).item(), rel=1e-12)
