"""Losses of the classification tables: hand-worked values, loops written from the equations."""

import math

import pytest
import torch
import torch.nn.functional as F
from drawn import build, maps


def unit(x):
    return x / x.norm()


def mean_over_pairs(s, t, of_both):
    """The mean of ``of_both``(an entry of s, that of t), of two square matrices."""
    return sum(of_both(a, b) for rows in zip(s, t) for a, b in zip(*rows)) / len(s) ** 2


def square(a, b):
    return (a - b) ** 2


def sp(s, t):
    def similarity(x):
        rows = [[float(a @ b) for b in x.flatten(1)] for a in x.flatten(1)]
        return [[v / math.hypot(*row) for v in row] for row in rows]

    return mean_over_pairs(similarity(s), similarity(t), square)


def pkt(s, t):
    def neighbours(x):
        rows = [[(float(unit(a) @ unit(b)) + 1) / 2 for b in x.flatten(1)] for a in x.flatten(1)]
        return [[v / sum(row) for v in row] for row in rows]

    def divergence(q, p):
        return p * math.log((p + 1e-7) / (q + 1e-7))

    return mean_over_pairs(neighbours(s), neighbours(t), divergence)


def cc(s, t, gamma=0.4):
    def kernel(x):
        cosines = [[float(unit(a) @ unit(b)) for b in x.flatten(1)] for a in x.flatten(1)]
        taylor = [[1 + 2 * gamma * c + (2 * gamma * c) ** 2 / 2 for c in row] for row in cosines]
        return [[math.exp(-2 * gamma) * v for v in row] for row in taylor]

    return mean_over_pairs(kernel(s), kernel(t), square)


def nst(s, t):
    def mean(x, y):
        values = [float(unit(a.flatten()) @ unit(b.flatten())) ** 2 for a in x for b in y]
        return sum(values) / len(values)

    each = [mean(b, b) + mean(a, a) - 2 * mean(a, b) for a, b in zip(s, t)]
    return sum(each) / len(each)


LOSSES = dict(SPLoss=sp, PKTLoss=pkt, CCLoss=cc, NSTLoss=nst)


@pytest.mark.parametrize('name', LOSSES)
def test_an_independent_formula(name):
    s, t = maps((4, 3, 2, 5), (4, 6, 2, 5))
    assert build(type=name)(s, t).item() == pytest.approx(LOSSES[name](s, t), rel=1e-10)


class TestHandWorked:
    """The student's images are at right angles, the teacher's are the same."""

    student = torch.tensor([[1, 0], [0, 1]], dtype=torch.float64)
    teacher = torch.tensor([[2, 0], [2, 0]], dtype=torch.float64)

    def test_sp(self):
        # Rows of the student (1, 0), (0, 1); of the teacher (1, 1) / sqrt 2 both.
        half = 1 / math.sqrt(2)
        expected = ((1 - half) ** 2 + half**2) * 2 / 4
        assert build(type='SPLoss')(self.student, self.teacher) == pytest.approx(expected)

    def test_pkt(self):
        # Similarities (1, 1/2) -> 2/3, 1/3; of the teacher 1/2, 1/2.
        expected = (0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))) * 2 / 4
        got = build(type='PKTLoss')(self.student, self.teacher)
        assert got.item() == pytest.approx(expected, abs=1e-6)

    def test_cc(self):
        # The diagonals agree; off them K is e^-0.8 against e^-0.8 (1 + 0.8 + 0.32).
        expected = 2 * (math.exp(-0.8) * 1.12) ** 2 / 4
        assert build(type='CCLoss')(self.student, self.teacher) == pytest.approx(expected)
        # Of order 1 without the square term.
        got = build(type='CCLoss', order=1)(self.student, self.teacher)
        assert got == pytest.approx(2 * (math.exp(-0.8) * 0.8) ** 2 / 4)
        for wrong in (0, 1.5, True):
            with pytest.raises(ValueError, match='order must be a positive integer'):
                build(type='CCLoss', order=wrong)

    def test_nst(self):
        # One image, two channels of two positions: of the student at right angles.
        s, t = (x.view(1, 2, 1, 2) for x in (self.student, self.teacher))
        # Teacher 1, student 1/2, between them the mean of 1, 0, 1, 0.
        assert build(type='NSTLoss')(s, t) == pytest.approx(1 + 0.5 - 2 * 0.5)

    def test_fsp(self):
        # One channel, four positions: the mean of the products of both stages.
        first = torch.tensor([1.0, 2, 3, 4], dtype=torch.float64).view(1, 1, 2, 2)
        second = torch.full((1, 1, 2, 2), 2.0, dtype=torch.float64)
        student, teacher = [first, second], [first, first]
        assert build(type='FSPLoss')(student, teacher) == pytest.approx((5 - 7.5) ** 2)


def test_nst_pools_to_the_smaller_map():
    s, t = maps((2, 3, 4, 4), (2, 3, 2, 2))
    pooled = F.avg_pool2d(s, 2)
    loss = build(type='NSTLoss')
    torch.testing.assert_close(loss(s, t), loss(pooled, t))
    with pytest.raises(ValueError, match=r's_feature has shape \(2, 3\), this loss takes maps'):
        loss(s[:, :, 0, 0], t)


class TestFSP:
    def test_an_independent_formula(self):
        shapes = [(2, 3, 4, 4), (2, 5, 2, 2), (2, 4, 2, 2)]
        s, t = maps(*shapes), maps(*shapes, seed=1)
        flows = []
        for first, *others in (s, t):
            stages = [F.avg_pool2d(first, 2), *others]
            pairs = zip(stages, stages[1:])
            flows.append([torch.einsum('bcij,bdij->bcd', *pair) / 4 for pair in pairs])
        expected = sum((a - b).square().mean().item() for a, b in zip(*flows))
        assert build(type='FSPLoss')(s, t).item() == pytest.approx(expected, rel=1e-10)

    def test_bad_input(self):
        x, other = maps((2, 3, 4, 4), (2, 5, 4, 4))
        loss = build(type='FSPLoss')
        with pytest.raises(ValueError, match='at least two, got 1 of the student and 1'):
            loss([x], [x])
        with pytest.raises(ValueError, match='FSPLoss needs the same widths in both networks'):
            loss([x, other], [x, x])


class TestAFD:
    @pytest.fixture
    def stages(self):
        s = maps((3, 4, 8, 8), (3, 6, 4, 4))
        t = maps((3, 5, 8, 8), (3, 7, 4, 4), (3, 8, 2, 2), seed=1)
        return s, t

    @pytest.fixture
    def loss(self):
        torch.manual_seed(0)
        loss = build(type='AFDLoss', s_channels=(4, 6), t_channels=(5, 7, 8), dim=16)
        return loss.double()

    def test_an_independent_formula(self, loss, stages):
        s, t = stages
        alpha = loss.attention(s, t)
        assert alpha.shape == (3, 3, 2)
        torch.testing.assert_close(alpha.sum(2), torch.ones(3, 3, dtype=torch.float64))
        expected = 0.0
        for b in range(3):
            for j, of_t in enumerate(t):
                target = unit(of_t[b].square().mean(0).flatten())
                for k, of_s in enumerate(s):
                    energy = of_s[b].square().mean(0)[None]
                    energy = F.adaptive_avg_pool2d(energy, of_t.shape[2:])
                    distance = (unit(energy.flatten()) - target).square().mean()
                    expected += float(alpha[b, j, k] * distance) / 3
        for x in (*s, *t):
            x.requires_grad_()
        value = loss(s, t)
        assert value.item() == pytest.approx(expected, rel=1e-10)
        value.backward()
        assert all(x.grad is not None for x in s) and all(x.grad is None for x in t)

    def test_the_attention(self, loss, stages):
        """One logit from the layers, by hand."""
        loss.eval()
        s, t = stages
        queries = [layer(x.mean((2, 3))) for layer, x in zip(loss.queries, t)]
        keys = [loss.bilinear(layer(x.mean((2, 3)))) for layer, x in zip(loss.keys, s)]
        expected = torch.empty(3, 3, 2, dtype=torch.float64)
        for j, query in enumerate(queries):
            for k, key in enumerate(keys):
                places = loss.t_place[j] @ loss.s_place[k]
                expected[:, j, k] = (key[:, 16 * j : 16 * j + 16] * query).sum(1) + places
        torch.testing.assert_close(loss.attention(s, t), (expected / 4).softmax(2))

    def test_bad_input(self, loss, stages):
        s, t = stages
        with pytest.raises(ValueError, match=r's_features have the widths \(6, 4\), AFDLoss was'):
            loss(s[::-1], t)
        with pytest.raises(RuntimeError, match='AFDLoss has no channels yet'):
            build(type='AFDLoss')(s, t)
        with pytest.raises(ValueError, match='dim must be a positive integer, got 0'):
            build(type='AFDLoss', dim=0)


def test_afd_in_a_recipe_reads_its_widths_from_the_models(algorithm, batch):
    stages = {f'stage{k}': dict(type='ModuleOutputs', source=f'backbone.layer{k}') for k in (1, 4)}
    reads = dict(
        s_features=dict(recorder=['stage1', 'stage4'], from_student=True),
        t_features=dict(recorder=['stage4', 'stage1'], from_student=False),
    )
    distiller = dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        student_recorders=stages,
        teacher_recorders=stages,
        distill_losses=dict(loss_afd=dict(type='AFDLoss', loss_weight=200.0)),
        loss_forward_mappings=dict(loss_afd=reads),
    )
    model = algorithm(distiller).train()
    loss = model.distiller.distill_losses['loss_afd']
    assert (loss.s_channels, loss.t_channels) == ((8, 64), (128, 16))
    losses = model.loss(*batch())
    assert losses['distill.loss_afd'] > 0
    losses['distill.loss_afd'].backward()
    assert all(p.grad is not None for p in loss.parameters())
