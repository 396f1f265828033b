"""CRD's memories: resumed, in evaluation, in two processes; and what MMRazor's loss does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import BaseDataElement
from mmrazor.registry import MODELS

from mmrazor_tat.models.losses import contrastive_distill_loss


def build(**config):
    return MODELS.build(dict(config, _scope_='mmrazor'))


def samples(indices, classes):
    return [
        SimpleNamespace(sample_idx=int(i), gt_label=torch.tensor([int(c)]))
        for i, c in zip(indices, classes)
    ]


CLASSES = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])  # of ten images
BATCH = torch.tensor([1, 3, 8])


def loss_of_ten():
    settings = dict(num_samples=10, s_channels=4, t_channels=6, dim=5, num_negatives=7)
    return build(type='ContrastiveDistillLoss', **settings)


@pytest.fixture
def small():
    """A loss of ten images, and three of them with their features and samples."""
    torch.manual_seed(0)
    s, t = torch.randn(3, 4), torch.randn(3, 6)
    return loss_of_ten(), (s, t, samples(BATCH, CLASSES[BATCH]))


class TestMemory:
    def test_evaluation_changes_nothing(self, small):
        loss, batch = small
        before = {key: value.clone() for key, value in loss.state_dict().items()}
        loss.eval()(*batch)
        assert all(torch.equal(value, before[key]) for key, value in loss.state_dict().items())

    def test_a_map_that_overflowed_is_not_remembered(self, small):
        """Float16 ends at 65,504; mu of that batch is measured in the next one."""
        loss, (s, t, of_batch) = small
        before = loss.memory_s.clone(), loss.memory_t.clone()
        bad = s.clone()
        bad[1, 0] = torch.inf
        assert not loss(bad, t, of_batch).isfinite()
        assert torch.equal(loss.memory_s[BATCH[1]], before[0][BATCH[1]])
        for index in BATCH[[0, 2]]:
            assert not torch.equal(loss.memory_s[index], before[0][index])
        assert not torch.equal(loss.memory_t[BATCH[1]], before[1][BATCH[1]])
        assert loss.log_mu[0].isneginf()
        assert loss(s, t, of_batch).isfinite()
        assert all(x.isfinite().all() for x in loss.state_dict().values())

    def test_what_is_resumed_goes_on_as_it_would_have(self, small):
        loss, batch = small
        loss(*batch)
        torch.manual_seed(7)
        resumed = loss_of_ten()
        resumed.load_state_dict(loss.state_dict())
        values = []
        for one in (loss, resumed):
            torch.manual_seed(1)
            values.append(one(*batch).item())
        assert values[0] == values[1]
        assert torch.equal(loss.memory_s, resumed.memory_s)
        assert set(loss.state_dict()) - {name for name, _ in loss.named_parameters()} == {
            'memory_s',
            'memory_t',
            'classes',
            'log_mu',
        }

    def test_entries_begin_and_stay_near_the_unit_sphere(self):
        loss = build(type='ContrastiveDistillLoss', num_samples=500)
        assert loss.memory_s.norm(dim=1).mean() == pytest.approx(1, abs=0.02)
        assert (loss.dim, loss.num_negatives, loss.temperature) == (128, 16384, 0.07)
        assert loss.momentum == 0.5

    def test_two_processes_keep_one_memory(self, monkeypatch):
        """Two threads that exchange as two processes do."""
        group = Group(2)
        monkeypatch.setattr(contrastive_distill_loss, 'all_gather', group.all_gather)
        monkeypatch.setattr(contrastive_distill_loss, 'all_reduce', group.all_reduce)
        losses = []
        for _ in range(2):
            torch.manual_seed(0)  # the same, as DistributedDataParallel makes them
            losses.append(loss_of_ten())
        before = losses[0].memory_t.clone()
        features = [(torch.randn(2, 4), torch.randn(2, 6)) for _ in range(2)]
        indices = [torch.tensor([0, 3]), torch.tensor([1, 5])]

        def step(rank):
            batch = samples(indices[rank], CLASSES[indices[rank]])
            return losses[rank](*features[rank], batch).item()

        values = group.run(step)
        assert values[0] != values[1]
        for key, value in losses[0].state_dict().items():
            assert torch.equal(value, losses[1].state_dict()[key]), key
        assert losses[0].classes.tolist() == [0, 0, -1, 1, -1, 2, -1, -1, -1, -1]
        changed = (losses[0].memory_t != before).any(1)
        assert changed.nonzero().flatten().tolist() == [0, 1, 3, 5]


class Group:
    """The collectives that the loss calls, between threads."""

    def __init__(self, size):
        self.size, self.box = size, [None] * size
        self.barrier, self.local = threading.Barrier(size, timeout=60), threading.local()

    def run(self, step):
        def one(rank):
            self.local.rank = rank
            return step(rank)

        with ThreadPoolExecutor(self.size) as pool:
            return list(pool.map(one, range(self.size)))

    def all_gather(self, x):
        self.box[self.local.rank] = x.clone()
        self.barrier.wait()
        found = list(self.box)
        self.barrier.wait()
        return found

    def all_reduce(self, x, op='sum'):
        total = torch.stack(self.all_gather(x)).sum(0)
        x.copy_(total / self.size if op == 'mean' else total)


class TestMMRazorsCRDLoss:
    """Why it is not used."""

    @pytest.fixture
    def theirs(self, capsys):
        torch.manual_seed(0)
        loss = build(type='CRDLoss', loss_weight=0.8, neg_num=7, sample_n=10, dim_out=5)
        data = [BaseDataElement(sample_idx=torch.tensor(int(i))) for i in BATCH]
        x = torch.nn.functional.normalize(torch.randn(3, 5), dim=1)
        return loss, (x, x, data)

    def test_the_weight_is_never_applied(self, theirs, capsys):
        loss, batch = theirs
        loss(*batch)
        assert 'normalization constant' in capsys.readouterr().out
        before, values = {k: v.clone() for k, v in loss.state_dict().items()}, []
        for weight in (0.8, 80.0):
            loss.load_state_dict(before)
            loss.loss_weight = weight
            torch.manual_seed(1)
            values.append(loss(*batch).item())
        assert values[0] == values[1]

    def test_the_equation_is_ours(self, theirs):
        """Times the weight, where it is told the negatives."""
        loss, (x, _, data) = theirs
        chosen = torch.randint(10, (3, 8))
        chosen[:, 0] = BATCH
        for sample, row in zip(data, chosen):
            sample.contrast_sample_idxs = row
        ours = build(
            type='ContrastiveDistillLoss',
            num_samples=10,
            s_channels=5,
            t_channels=5,
            dim=5,
            num_negatives=7,
        )
        with torch.no_grad():
            for layer in (ours.s_embed, ours.t_embed):
                layer.weight.copy_(torch.eye(5)), layer.bias.zero_()
        ours.memory_s.copy_(loss.contrast.memory_v1), ours.memory_t.copy_(loss.contrast.memory_v2)
        ours.draw = lambda *_: chosen[:, 1:]
        for _ in range(2):
            expected = loss(x, x, data).item()
            assert ours(x, x, samples(BATCH, CLASSES[BATCH])).item() == pytest.approx(
                expected, rel=1e-5
            )
        torch.testing.assert_close(ours.memory_s, loss.contrast.memory_v1)

    def test_its_draw_stays_on_the_cpu(self, theirs):
        loss = theirs[0].to('meta')
        assert loss.contrast.memory_v1.is_meta
        assert loss.contrast.multinomial.draw(5).device == torch.device('cpu')

    def test_an_index_as_mmpretrain_gives_it_is_refused(self, theirs):
        loss, (x, _, _) = theirs
        with pytest.raises(AssertionError, match='`sample_idx` must be a tensor'):
            loss(x, x, [BaseDataElement(metainfo=dict(sample_idx=int(i))) for i in BATCH])

    def test_evaluation_writes_to_its_memory(self, theirs):
        loss, batch = theirs
        before = loss.contrast.memory_v1.clone()
        loss.eval()(*batch)
        assert not torch.equal(loss.contrast.memory_v1, before)
