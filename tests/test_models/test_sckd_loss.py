"""SCKD: the two gradients by hand and by autograd, and the gate in both states."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from drawn import build, maps


def samples(*labels):
    return [SimpleNamespace(gt_label=torch.tensor([label])) for label in labels]


def logits(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def random_logits(seed):
    return maps((6, 5), seed=seed)[0]


LABELS = (0, 1, 2, 3, 4, 0)
KL = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)


class TestByHand:
    student, teacher = logits([0, 0]), logits([math.log(3), 0])  # (1/2, 1/2), (3/4, 1/4)

    def test_the_teacher_agrees_with_the_label(self):
        loss = build(type='SCKDLoss', tau=1.0, loss_weight=2.0)
        assert loss(self.student, self.teacher, samples(0)).item() == pytest.approx(2 * KL)
        assert loss.logged_values['gate'] == 1
        assert loss.logged_values['cosine'].item() == pytest.approx(1)

    def test_the_teacher_is_wrong(self):
        loss = build(type='SCKDLoss', tau=1.0)
        student = self.student.clone().requires_grad_()
        value = loss(student, self.teacher, samples(1))
        value.backward()
        assert value == 0 and (student.grad == 0).all()
        assert loss.logged_values['gate'] == 0
        assert loss.logged_values['cosine'].item() == pytest.approx(-1)
        # Nothing is below -1, rounded or not.
        always = build(type='SCKDLoss', tau=1.0, threshold=-1.0)
        assert always(self.student, self.teacher, samples(1)).item() == pytest.approx(KL)

    def test_a_cosine_between(self):
        """(-2/3, 1/3, 1/3) and (1/3 - 1/2, 1/3 - 2/5, 1/3 - 1/10): 1/6 over their lengths."""
        student, teacher = logits([0, 0, 0]), logits([5, 4, 1]).log()
        cosine = (1 / 6) / math.sqrt(2 / 3 * 78 / 900)
        for threshold, gate in ((cosine - 1e-6, 1), (cosine + 1e-6, 0)):
            loss = build(type='SCKDLoss', tau=1.0, threshold=threshold)
            assert (loss(student, teacher, samples(0)) > 0) == (gate == 1)
            assert loss.logged_values['gate'] == gate
            assert loss.logged_values['cosine'].item() == pytest.approx(cosine)

    def test_a_student_that_is_surer_than_its_teacher_is_left_alone(self):
        student, teacher = logits([9, 0, 0]), logits([2, 0, 0])
        assert build(type='SCKDLoss')(student, teacher, samples(0)) == 0
        assert build(type='SCKDLoss')(teacher, student, samples(0)) > 0

    def test_the_batch_is_one_vector(self):
        """An image whose teacher is wrong passes with one whose teacher is right and says more."""
        student = logits([0, 0], [0, 0])
        teacher = logits([math.log(9), 0], [0, math.log(3)])
        got = build(type='SCKDLoss', tau=1.0)(student, teacher, samples(0, 0))
        first = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
        assert got.item() == pytest.approx((first + KL) / 2)


def test_the_cosine_is_that_of_the_two_losses_gradients():
    """Where it is on it is Hinton's loss, by MMRazor's component; else it is 0."""
    states = set()
    for seed in range(4):
        s, t = random_logits(seed).requires_grad_(), random_logits(seed + 10)
        task = F.cross_entropy(s, torch.tensor(LABELS))
        kd = build(type='KLDivergence', tau=4.0)(s, t)
        gradients = [torch.autograd.grad(x, s)[0].flatten() for x in (task, kd)]
        expected = F.cosine_similarity(*gradients, dim=0)
        loss = build(type='SCKDLoss')
        value = loss(s, t, samples(*LABELS))
        torch.testing.assert_close(loss.logged_values['cosine'], expected)
        on = float(expected >= 0)
        torch.testing.assert_close(value, on * kd)
        (gradient,) = torch.autograd.grad(value, s)
        torch.testing.assert_close(gradient.flatten(), on * gradients[1])
        states.add(loss.logged_values['gate'].item())
    assert states == {0.0, 1.0}


def test_mixed_labels():
    """gt_score, as mmpretrain has it after mixup, is what the task loss sees."""
    student, teacher = logits([0, 0]), logits([math.log(3), 0])
    for score, gate in (([0.6, 0.4], 1), ([0.4, 0.6], 0)):
        mixed = SimpleNamespace(gt_label=torch.tensor([0]), gt_score=torch.tensor(score))
        loss = build(type='SCKDLoss', tau=1.0)
        loss(student, teacher, [mixed])
        assert loss.logged_values['gate'] == gate


def test_equal_logits_switch_nothing_off():
    x = random_logits(0)
    loss = build(type='SCKDLoss')
    assert loss(x, x.clone(), samples(*LABELS)) == pytest.approx(0, abs=1e-12)
    assert loss.logged_values['gate'] == 1 and loss.logged_values['cosine'] == 1


def test_bad_input():
    x = random_logits(0)
    loss = build(type='SCKDLoss')
    with pytest.raises(ValueError, match=r'preds_S has shape \(6, 5\), preds_T has \(6, 4\)'):
        loss(x, x[:, :4], samples(*LABELS))
    with pytest.raises(ValueError, match='2 data_samples, but logits of 6 images'):
        loss(x, x, samples(0, 1))
    with pytest.raises(ValueError, match=r'data_samples\[0\] has gt_label None'):
        loss(x, x, [SimpleNamespace()] * 6)
    for threshold in (1.5, 'a', True, math.nan):
        with pytest.raises(ValueError, match='threshold must be a cosine, from -1 to 1'):
            build(type='SCKDLoss', threshold=threshold)
    with pytest.raises(ValueError, match='tau must be a finite number above 0, got 0'):
        build(type='SCKDLoss', tau=0)
