"""How good a network is, by hand-worked tables."""

from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmrazor_tat.diagnosis.scores import (
    NotCheckedError,
    error_of_difference,
    guess_of,
    renumbered,
    score,
    spread_batches,
)
from mmrazor_tat.diagnosis.teacher import check_knowledge


def test_images_are_of_the_whole_data_set():
    """A validation set in folders by class begins with one class only."""
    loader = DataLoader(range(100), batch_size=2)
    assert [batch.tolist() for batch in spread_batches(loader, 4)] == [[0, 33], [66, 99]]
    assert sum(map(len, spread_batches(loader, 1000))) == 100


@pytest.mark.parametrize(
    ('table', 'metric', 'is_accused'),
    [
        ([[9750, 100], [60, 90]], 'mIoU', False),  # a small foreground, IoU 36: 67.2 against 49.3
        ([[67, 3], [2, 28]], 'accuracy', False),  # 95 against 70
        ([[68, 2], [28, 2]], 'accuracy', True),  # 70 against 70
        ([[98, 2], [10, 0]], 'mIoU', True),
    ],
)
def test_what_a_teacher_knows_is_read_against_what_could_be_known(table, metric, is_accused):
    table = np.array(table)
    subject = SimpleNamespace(metric=metric, teacher_confusion=table, measured={}, num_images=1)
    subject.score = lambda table: score(table, metric)
    assert len([*check_knowledge(subject)]) == is_accused


def test_few_images_of_many_classes_do_not_suit_themselves():
    """A teacher that is right in 70 % of 256 images of 1000 classes is not better renumbered."""
    generator = np.random.default_rng(0)
    label, other = generator.integers(0, 1000, (2, 256))
    tables = np.zeros((12, 1000, 1000), int)
    prediction = np.where(generator.random(256) < 0.7, label, other)
    np.add.at(tables, (np.arange(256) % 12, label, prediction), 1)
    assert renumbered(tables).sum(0).max() < 10 and renumbered(tables).sum() == 256
    shifted = np.roll(tables, 1, 2)
    of = [score(x, 'accuracy') for x in (tables.sum(0), renumbered(tables), renumbered(shifted))]
    assert of[1] <= of[0] + 1 and 60 < of[0] < 80
    # Of three classes the numbers are found, of whatever half.
    few = np.tile(np.diag([5, 6, 7]), (12, 1, 1))
    assert score(renumbered(np.roll(few, 1, 2)), 'accuracy') == 100


def test_images_of_one_class_tell_nothing():
    with pytest.raises(NotCheckedError, match='more than one class'):
        guess_of(np.array([[10000, 10], [0, 0]]), 'mIoU')


def test_the_error_of_a_difference():
    """Of two accuracies on groups of one size it is that of the mean difference."""
    right = np.array([[7, 5, 9, 6], [6, 6, 7, 6]])
    one, other = (np.array([[[n, 10 - n], [0, 0]] for n in of]) for of in right)
    expected = 10 * np.std(right[0] - right[1], ddof=1) / 2
    assert error_of_difference(one, other, 'accuracy') == pytest.approx(expected)
    assert error_of_difference(one, one, 'accuracy') == 0
