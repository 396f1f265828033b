"""Drawn map sizes, channels, grids, groups and kernels: each works and equals a loop written from
the paper's equations, or fails with the error that is promised for it."""

import math
from operator import mul

import pytest
import torch
from drawn import maps as drawn
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mmrazor_tat.models import HierarchicalTaTLoss

SIDES, FEW = st.integers(1, 9), st.integers(1, 5)
SIZES = st.tuples(SIDES, SIDES)
PATCH = dict(type=st.just('patch'), grid=st.tuples(FEW, FEW), groups=SIDES)
ANCHOR, WHOLE = dict(type=st.just('anchor'), kernel=FEW), dict(type=st.just('whole'))
CASES = st.fixed_dictionaries(
    dict(
        batch=st.integers(1, 3),
        s_size=SIZES,
        t_size=SIZES,
        channels=st.tuples(FEW, FEW),
        views=st.lists(
            st.one_of(*map(st.fixed_dictionaries, (PATCH, ANCHOR, WHOLE))), min_size=1, max_size=2
        ),
        softmax_over=st.sampled_from(['student', 'student', 'teacher']),
        scale=st.sampled_from([1.0, 0.5]),
        lean=st.booleans(),
        norm=st.sampled_from([None, 'IN', 'BN']),
    )
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
    h, w = cut((len(x[0]), len(x[0][0])), view)
    positions = [(i, j) for i in range(h) for j in range(w)]
    if view['type'] == 'patch':
        rows, columns = view['grid']
        patches = [(r * h, c * w) for r in range(rows) for c in range(columns)]
        size = len(patches) // view['groups']
        groups = [patches[k : k + size] for k in range(0, len(patches), size)]
        return [
            [[plane[r + i][c + j] for r, c in group for plane in x] for i, j in positions]
            for group in groups
        ]
    k = view.get('kernel', 1)

    def mean(plane, i, j):
        return sum(plane[k * i + a][k * j + b] for a in range(k) for b in range(k)) / k**2

    return [[[mean(plane, i, j) for plane in x] for i, j in positions]]


def by_loops(key, value, query, target, view: dict, case: dict) -> float:
    """The loss of maps that are projected already, written from equations 1 to 4."""
    errors = []
    for maps in zip(*(x.tolist() for x in (key, value, query, target))):
        for k, v, q, t in zip(*(tokens(x, view) for x in maps)):
            rows, columns = (q, k) if case['softmax_over'] == 'student' else (k, q)
            for row, wanted in zip(rows, t):
                dot = [case['scale'] * sum(map(mul, row, column)) for column in columns]
                weights = [math.exp(x - max(dot)) for x in dot]
                rebuilt = [sum(map(mul, weights, channel)) / sum(weights) for channel in zip(*v)]
                errors += [(a - b) ** 2 for a, b in zip(rebuilt, wanted)]
    return sum(errors) / len(errors)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(case=CASES)
def test_works_or_says_why(case):
    views = [dict(view, weight=w, name=n) for view, w, n in zip(case['views'], (1, 0.3), 'ab')]
    sides = zip(case['channels'], (case['s_size'], case['t_size']))
    s, t = drawn(*((case['batch'], channels, *size) for channels, size in sides))

    def run():
        torch.manual_seed(0)
        settings = {name: case[name] for name in ('softmax_over', 'scale', 'lean')}
        norm = None if case['norm'] is None else dict(type=case['norm'])
        loss = HierarchicalTaTLoss(*case['channels'], views, norm_cfg=norm, **settings).double()
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
        projected = loss.gamma(s), loss.phi(s), loss.theta(t), t
    for view in views:
        expected = view['weight'] * by_loops(*projected, view, case)
        found = loss.logged_values[view['name']].item()
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert value.item() == pytest.approx(sum(loss.logged_values.values()).item(), rel=1e-12)
