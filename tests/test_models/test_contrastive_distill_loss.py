"""CRD: hand-worked values, the authors' form by loops, and which negatives are drawn."""

import math
from types import SimpleNamespace

import pytest
import torch
from mmrazor.registry import MODELS


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def samples(indices, classes):
    return [
        SimpleNamespace(sample_idx=int(i), gt_label=torch.tensor([int(c)]))
        for i, c in zip(indices, classes)
    ]


CLASSES = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])  # of ten images
BATCH = torch.tensor([1, 3, 8])


@pytest.fixture
def small():
    """A loss of ten images in float64, three of them with their samples and features."""
    torch.manual_seed(0)
    loss = build(
        type='ContrastiveDistillLoss',
        num_samples=10,
        s_channels=4,
        t_channels=6,
        dim=5,
        num_negatives=7,
        loss_weight=0.8,
    ).double()
    s, t = (torch.randn(3, width, 2, 2, dtype=torch.float64) for width in (4, 6))
    return loss, (s, t, samples(BATCH, CLASSES[BATCH]))


def embeddings(loss, s, t):
    s, t = loss.s_embed(s.mean((2, 3))), loss.t_embed(t.mean((2, 3)))
    return [x / x.norm(dim=1, keepdim=True) for x in (s.detach(), t.detach())]


def authors_form(loss, s, t, chosen, z):
    """With exp, Z, the noise distribution 1 / M, and loops, as the released code lays it out."""
    anchors, total = embeddings(loss, s, t), 0.0
    noise = loss.num_negatives / loss.num_samples
    for a, memory, of_z in zip(anchors, (loss.memory_t, loss.memory_s), z):
        for b, row in enumerate(chosen):
            for k, image in enumerate(row):
                p = math.exp(float(a[b] @ memory[image]) / loss.temperature) / of_z
                total -= math.log((p if k == 0 else noise) / (p + noise))
    return total / len(s)


def partition(loss, s, t, chosen):
    """Z: the mean of exp over the batch, times M."""
    means = []
    for a, memory in zip(embeddings(loss, s, t), (loss.memory_t, loss.memory_s)):
        values = [
            math.exp(float(a[b] @ memory[i]) / loss.temperature)
            for b, row in enumerate(chosen)
            for i in row
        ]
        means.append(sum(values) / len(values) * loss.num_samples)
    return means


class TestValue:
    def test_by_hand(self):
        """Two images, the other is the negative; the positive at cosine 1, the negative at 0."""
        loss = build(
            type='ContrastiveDistillLoss',
            num_samples=2,
            s_channels=2,
            t_channels=2,
            dim=2,
            num_negatives=1,
            temperature=1.0,
            negatives='other_image',
            loss_weight=3.0,
        )
        with torch.no_grad():
            for layer in (loss.s_embed, loss.t_embed):
                layer.weight.copy_(torch.eye(2)), layer.bias.zero_()
            loss.memory_s.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            loss.memory_t.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        got = loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]]), samples([0], [0]))
        mu = (math.e + 1) / 2
        one = math.log(math.e / (math.e + mu)) + math.log(1 - 1 / (1 + mu))
        assert got.item() == pytest.approx(3 * -2 * one, rel=1e-6)
        torch.testing.assert_close(loss.log_mu, torch.tensor([mu, mu]).log())
        # Half of what was there, half of the embedding, of length 1; the other image stays.
        half = 1 / math.sqrt(2)
        torch.testing.assert_close(loss.memory_s, torch.tensor([[half, half], [1.0, 0.0]]))
        torch.testing.assert_close(loss.memory_t, torch.tensor([[half, half], [0.0, 1.0]]))

    def test_an_independent_formula(self, small):
        """Two batches: the first sets Z, the second finds it set and the memories changed."""
        loss, (s, t, data) = small
        z = None
        for seed in (1, 2):
            torch.manual_seed(seed)
            classes = loss.classes.clone()
            classes[BATCH] = CLASSES[BATCH]
            chosen = torch.cat([BATCH[:, None], loss.draw(BATCH, classes)], 1)
            z = z or partition(loss, s, t, chosen)
            expected = authors_form(loss, s, t, chosen, z)
            torch.manual_seed(seed)
            assert loss(s, t, data).item() == pytest.approx(0.8 * expected, rel=1e-9)
            s = s + 0.1

    def test_the_weight_is_applied_once(self, small):
        loss, batch = small
        loss.eval()
        values = []
        for weight in (0.8, 2.4):
            loss.loss_weight = weight
            torch.manual_seed(1)
            values.append(loss(*batch))
        torch.testing.assert_close(values[1], 3 * values[0])

    def test_gradients(self, small):
        """Of the student, and of both embeddings; none for the teacher."""
        loss, (s, t, data) = small
        loss(s, t, data)  # sets mu, which is a constant ever since
        loss.eval()
        s, t = s.mean((2, 3)), t.mean((2, 3))

        def value(s, *_):
            torch.manual_seed(1)
            return loss(s, t, data)

        inputs = (s.clone().requires_grad_(), loss.s_embed.weight, loss.t_embed.weight)
        assert torch.autograd.gradcheck(value, inputs)
        loss.train()
        t.requires_grad_()
        loss(inputs[0], t, data).backward()  # the memories have changed meanwhile
        assert t.grad is None and inputs[0].grad.abs().sum() > 0
        assert all(p.grad.abs().sum() > 0 for p in loss.parameters())

    def test_a_memory_like_the_embeddings_is_a_small_loss(self, small):
        loss, (s, t, data) = small
        before = loss.eval()(s, t, data)
        of_s, of_t = embeddings(loss, s, t)
        loss.memory_t[BATCH], loss.memory_s[BATCH] = of_s, of_t
        others = [i for i in range(10) if i not in BATCH]
        loss.memory_t[others], loss.memory_s[others] = -of_s.mean(0), -of_t.mean(0)
        assert loss(s, t, data) < before

    def test_half_precision_is_computed_in_float32(self, small):
        loss, (s, t, data) = small
        loss.float().eval()
        values = []
        for cast in (torch.float32, torch.bfloat16):
            torch.manual_seed(1)
            with torch.autocast('cpu', torch.bfloat16):
                values.append(loss(s.bfloat16().to(cast), t.bfloat16().to(cast), data))
        assert values[1].dtype == torch.float32
        torch.testing.assert_close(*values)


class TestNegatives:
    def draw(self, negatives, index, classes=None):
        loss = build(
            type='ContrastiveDistillLoss', num_samples=10, num_negatives=40000, negatives=negatives
        )
        torch.manual_seed(0)
        drawn = loss.draw(torch.tensor(index), classes)
        return [torch.bincount(row, minlength=10) / 40000 for row in drawn]

    def test_of_another_class_each_as_often(self):
        shuffled = CLASSES[torch.tensor([3, 9, 0, 5, 7, 1, 2, 8, 6, 4])]
        for index, shares in zip((2, 9), self.draw('other_class', [2, 9], shuffled)):
            other = shuffled != shuffled[index]
            torch.testing.assert_close(shares, other / other.sum(), rtol=0, atol=0.01)

    def test_images_of_an_unknown_class_are_negatives_but_never_the_image_itself(self):
        unknown = torch.full((10,), -1)
        unknown[4] = 2
        (shares,) = self.draw('other_class', [4], unknown)
        assert shares[4] == 0 and (shares > 0).sum() == 9

    def test_all_other_images(self):
        for index, shares in zip((0, 4, 9), self.draw('other_image', [0, 4, 9])):
            expected = torch.full((10,), 1 / 9)
            expected[index] = 0
            torch.testing.assert_close(shares, expected, rtol=0, atol=0.01)

    def test_classes_are_learnt_as_images_come(self, small):
        loss, (s, t, data) = small
        loss(s, t, data)
        expected = torch.full((10,), -1)
        expected[BATCH] = CLASSES[BATCH]
        assert loss.classes.tolist() == expected.tolist()

    def test_the_seed_decides(self, small):
        loss, batch = small
        loss.eval()
        values = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            values.append(loss(*batch).item())
        assert values[0] == values[1] != values[2]


class TestBadInput:
    @pytest.mark.parametrize(
        ('setting', 'text'),
        [
            (dict(num_samples=1), 'num_samples must be an integer of at least 2, got 1'),
            (dict(dim=0), 'dim must be a positive integer, got 0'),
            (dict(num_negatives=1.5), 'num_negatives must be a positive integer, got 1.5'),
            (dict(temperature=0), 'temperature must be a finite number above 0, got 0'),
            (dict(momentum=1.0), 'momentum must be below 1, got 1.0'),
            (dict(negatives='exact'), "must be 'other_class' or 'other_image', got 'exact'"),
            (dict(loss_weight=-1), 'loss_weight must be a finite number'),
        ],
    )
    def test_settings(self, setting, text):
        with pytest.raises(ValueError, match=text):
            build(**dict(dict(type='ContrastiveDistillLoss', num_samples=10), **setting))

    def test_inputs(self, small):
        loss, (s, t, data) = small
        with pytest.raises(ValueError, match='t_feature has 2, data_samples has 3: they must'):
            loss(s, t[:2], data)
        with pytest.raises(ValueError, match=r't_feature has shape \(3, 4, 2, 2\), .* \(B, 6, H'):
            loss(s, s, data)
        with pytest.raises(ValueError, match='has sample_idx 10, but num_samples is 10: set it'):
            loss(s, t, samples([10, 1, 2], [0, 0, 0]))
        with pytest.raises(ValueError, match=r'data_samples\[0\] has no sample_idx: name it in'):
            loss(s, t, [SimpleNamespace(gt_label=torch.tensor([0]))] * 3)
        with pytest.raises(RuntimeError, match='has no channels yet'):
            build(type='ContrastiveDistillLoss', num_samples=10)(s, t, data)
