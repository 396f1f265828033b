"""Which positions are looked at."""

import torch

from mmrazor_tat.visualization.attention.target_points import choose_points


def scene(*things, size=(16, 20), channels=4):
    """A flat map with a little noise and 3 x 3 things: (row, column, channel, value)."""
    generator = torch.Generator().manual_seed(0)
    x = 0.01 * torch.randn(channels, *size, generator=generator)
    for row, column, channel, value in things:
        x[channel, row - 1 : row + 2, column - 1 : column + 2] += value
    return x


def test_the_odd_cells_are_found_the_oddest_first():
    x = scene((3, 4, 0, 2.0), (12, 15, 1, 9.0), (8, 9, 2, 5.0))
    assert choose_points(x, 3) == [(12, 15), (8, 9), (3, 4)]
    assert choose_points(x, 1, within=(10, 20)) == [(8, 9)]
    assert all(row < 10 and column < 7 for row, column in choose_points(x, 3, within=(10, 7)))
    assert choose_points(x.flip(0), 3) == [(12, 15), (8, 9), (3, 4)]  # a matter of distances


def test_a_thing_of_a_kind_that_is_chosen_comes_later():
    """One has the feature of the strongest, and is nearest to it whatever was chosen since."""
    x = scene((3, 4, 0, 9.0), (12, 15, 0, 9.2), (8, 9, 1, 2.0))
    first, *others = choose_points(x, 3)
    assert first == (12, 15)
    assert (8, 9) in others and (3, 4) not in others


def test_a_single_hot_cell_is_not_a_thing_and_the_border_is_left_out():
    x = scene((8, 9, 0, 2.0))
    x[1, 3, 3] = 9.0  # of 3 x 3 it makes a mean of 1
    x[2, 0], x[2, :, -1] = 50.0, 50.0
    row, column = choose_points(x, 1)[0]
    assert 0 < row < 15 and 0 < column < 19
    x[2] = 0
    assert choose_points(x, 1) == [(8, 9)]


def test_points_are_apart_and_repeatable():
    x = torch.randn(6, 16, 20, generator=torch.Generator().manual_seed(1))
    points = choose_points(x, 4)
    assert points == choose_points(x.clone(), 4)
    assert points[:2] == choose_points(x, 2)
    for i, a in enumerate(points):
        for b in points[:i]:
            assert max(abs(a[0] - b[0]), abs(a[1] - b[1])) >= 4


def test_a_small_map_gives_what_it_has():
    assert choose_points(torch.zeros(2, 3, 3), 5) == [(1, 1)]
    assert len(choose_points(torch.rand(2, 2, 2), 9)) == 4  # all at the border
    assert len(set(choose_points(torch.rand(2, 6, 6), 9))) == 9


def test_positions_that_are_not_finite_are_never_chosen():
    feature = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    feature[1, 3, 3] = float('nan')
    feature[0, 5, 5] = float('inf')
    chosen = choose_points(feature, 30)
    assert len(chosen) > 3
    assert all(max(abs(r - k), abs(c - k)) > 1 for r, c in chosen for k in (3, 5))  # smoothed
    assert choose_points(torch.full((3, 8, 8), float('nan')), 2) == []
