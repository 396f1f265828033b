"""CRD: hand-worked values, its negatives, its memories, and MMRazor's."""

import math
from types import SimpleNamespace

import pytest
import torch
from drawn import build
from mmengine.structures import BaseDataElement


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
    s, t = (torch.randn(3, width, 2, 2, dtype=torch.float64) for width in (4, 6))
    return loss_of_ten(), (s, t, samples(BATCH, CLASSES[BATCH]))


def loss_of_ten(s_channels=4, t_channels=6):
    settings = dict(num_samples=10, num_negatives=7, dim=5, loss_weight=0.8)
    widths = dict(s_channels=s_channels, t_channels=t_channels)
    return build(type='ContrastiveDistillLoss', **settings, **widths).double()


def seeded(loss, batch, seed=1):
    torch.manual_seed(seed)
    return loss(*batch)


def is_identity(loss):
    with torch.no_grad():
        for layer in (loss.s_embed, loss.t_embed):
            layer.weight.copy_(torch.eye(loss.dim)), layer.bias.zero_()
    return loss


class TestValue:
    def test_by_hand(self):
        """Two images, the other is the negative; the positive at cosine 1, the negative at 0."""
        settings = dict(num_samples=2, num_negatives=1, temperature=1.0, negatives='other_image')
        widths = dict(s_channels=2, t_channels=2, dim=2)
        loss = is_identity(
            build(type='ContrastiveDistillLoss', **settings, **widths, loss_weight=3.0)
        )
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

    def test_half_precision_is_computed_in_float32(self, small):
        loss, (s, t, data) = small
        loss.float().eval()
        values = []
        for cast in (torch.float32, torch.bfloat16):
            with torch.autocast('cpu', torch.bfloat16):
                values.append(seeded(loss, (s.bfloat16().to(cast), t.bfloat16().to(cast), data)))
        assert values[1].dtype == torch.float32
        torch.testing.assert_close(*values)


class TestNegatives:
    @pytest.mark.parametrize(
        'negatives, classes, index',
        [
            ('other_class', [1, 3, 0, 2, 2, 0, 1, 3, 2, 1], [2, 9]),
            ('other_class', [-1, -1, -1, -1, 2, -1, -1, -1, -1, -1], [4]),  # -1: not yet known
            ('other_image', None, [0, 4, 9]),
        ],
    )
    def test_each_other_as_often(self, negatives, classes, index):
        settings = dict(num_samples=10, num_negatives=40000, negatives=negatives)
        loss = build(type='ContrastiveDistillLoss', **settings)
        torch.manual_seed(0)
        drawn = loss.draw(torch.tensor(index), None if classes is None else torch.tensor(classes))
        kinds = torch.arange(10) if classes is None else torch.tensor(classes)
        for image, row in zip(index, drawn):
            other = kinds != kinds[image]
            shares = torch.bincount(row, minlength=10) / 40000
            torch.testing.assert_close(shares, other / other.sum(), rtol=0, atol=0.01)

    def test_the_seed_decides(self, small):
        loss, batch = small
        values = [seeded(loss.eval(), batch, seed).item() for seed in (1, 1, 2)]
        assert values[0] == values[1] != values[2]


class TestMemory:
    """That of two processes: see test_several_processes."""

    def test_evaluation_changes_nothing(self, small):
        loss, batch = small
        before = {key: value.clone() for key, value in loss.state_dict().items()}
        loss.eval()(*batch)
        assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())

    def test_a_map_that_overflowed_is_not_remembered(self, small):
        """Float16 ends at 65,504; mu of that batch is measured in the next one."""
        loss, (s, t, data) = small
        before = [memory.clone() for memory in (loss.memory_s, loss.memory_t)]
        bad = s.clone()
        bad[1, 0] = torch.inf
        assert not loss(bad, t, data).isfinite()
        changed = [(x != y).any(1) for x, y in zip((loss.memory_s, loss.memory_t), before)]
        assert [x.nonzero().flatten().tolist() for x in changed] == [[1, 8], [1, 3, 8]]
        assert loss.log_mu[0].isneginf()
        assert loss(s, t, data).isfinite()
        assert all(x.isfinite().all() for x in loss.state_dict().values())

    def test_what_is_resumed_goes_on_as_it_would_have(self, small):
        loss, batch = small
        loss(*batch)
        resumed = loss_of_ten()
        resumed.load_state_dict(loss.state_dict())
        assert seeded(loss, batch) == seeded(resumed, batch)
        for key, value in loss.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[key]), key
        assert loss.state_dict().keys() >= {'memory_s', 'memory_t', 'classes', 'log_mu'}

    def test_entries_begin_near_the_unit_sphere(self):
        loss = build(type='ContrastiveDistillLoss', num_samples=500)
        assert loss.memory_s.norm(dim=1).mean() == pytest.approx(1, abs=0.02)


class TestMMRazorsCRDLoss:
    """Why it is not used."""

    @pytest.fixture
    def theirs(self):
        torch.manual_seed(0)
        loss = build(type='CRDLoss', loss_weight=0.8, neg_num=7, sample_n=10, dim_out=5)
        data = [BaseDataElement(sample_idx=torch.tensor(int(i))) for i in BATCH]
        x = torch.nn.functional.normalize(torch.randn(3, 5), dim=1)
        return loss, (x, x, data)

    def test_the_weight_is_never_applied_and_evaluation_writes_to_its_memory(self, theirs, capsys):
        loss, batch = theirs
        loss(*batch)
        assert 'normalization constant' in capsys.readouterr().out
        before, values = {k: v.clone() for k, v in loss.state_dict().items()}, []
        for loss.loss_weight in (0.8, 80.0):
            loss.load_state_dict(before)
            values.append(seeded(loss.eval(), batch).item())
        assert values[0] == values[1]
        assert not torch.equal(loss.contrast.memory_v1, before['contrast.memory_v1'])

    def test_the_equation_is_ours(self, theirs):
        """Times the weight, where it is told the negatives."""
        loss, (x, _, data) = theirs
        chosen = torch.randint(10, (3, 8))
        chosen[:, 0] = BATCH
        for sample, row in zip(data, chosen):
            sample.contrast_sample_idxs = row
        ours = is_identity(loss_of_ten(5, 5).float())
        ours.memory_s.copy_(loss.contrast.memory_v1), ours.memory_t.copy_(loss.contrast.memory_v2)
        ours.draw = lambda *_: chosen[:, 1:]
        for _ in range(2):  # the first sets Z, the second finds it set and the memories changed
            expected = 0.8 * loss(x, x, data).item()
            got = ours(x, x, samples(BATCH, CLASSES[BATCH])).item()
            assert got == pytest.approx(expected, rel=1e-5)
            x = torch.nn.functional.normalize(x + 0.1, dim=1)
        torch.testing.assert_close(ours.memory_s, loss.contrast.memory_v1)
        torch.testing.assert_close(ours.memory_t, loss.contrast.memory_v2)
        known = torch.full((10,), -1)  # as the images come
        known[BATCH] = CLASSES[BATCH]
        assert torch.equal(ours.classes, known)

    def test_its_draw_stays_on_the_cpu(self, theirs):
        loss = theirs[0].to('meta')
        assert loss.contrast.memory_v1.is_meta
        assert loss.contrast.multinomial.draw(5).device == torch.device('cpu')

    def test_an_index_as_mmpretrain_gives_it_is_refused(self, theirs):
        loss, (x, _, _) = theirs
        with pytest.raises(AssertionError, match='`sample_idx` must be a tensor'):
            loss(x, x, [BaseDataElement(metainfo=dict(sample_idx=int(i))) for i in BATCH])


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
