"""A teacher whose batch norms are folded gives the same maps, or is left as it is."""

import copy

import pytest
import torch
from fixtures.networks import NETWORKS
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import load_state_dict
from mmrazor.models.task_modules.recorder import RecorderManager
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrazor_tat.models.teacher.folding import fold_norms

SIZE = (3, 64, 64)
LEFT = dict(bisenet=1)  # norms that follow no convolution
IMAGES = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(0))


def trained(config: dict) -> nn.Module:
    """A network whose norms have seen something."""
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config)).eval()
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def fold(model: nn.Module, **recorders: dict) -> int:
    """How many batch norms are gone."""
    with DefaultScope.overwrite_default_scope('mmrazor'):
        before, manager = norms(model), RecorderManager(recorders)
    manager.initialize(model)
    fold_norms(model, manager, (1, *SIZE))
    return before - norms(model)


@torch.no_grad()
@pytest.mark.parametrize('name', NETWORKS)
def test_the_features_are_the_same(name):
    """ResNet, MobileNetV2, Swin, SegFormer, ViT and the heads: 1e-5 in every map of every head."""
    model = trained(NETWORKS[name])
    before = [*model.extract_feat(IMAGES), model(IMAGES, mode='tensor')]
    fold(model)
    assert norms(model) == LEFT.get(name, 0)
    after = [*model.extract_feat(IMAGES), model(IMAGES, mode='tensor')]
    for a, b in zip(before, after):
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()
    assert not any(p.requires_grad for p in model.parameters())


class Network(nn.Module):
    """A convolution and a norm, called as a subclass says, and a pair that is as usual."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.usual_conv, self.usual_norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        for norm in (self.norm, self.usual_norm):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.2, 2)

    def inner(self, x):
        return self.norm(self.conv(x))

    def forward(self, x, mode='tensor'):
        x = self.inner(x)
        x, *more = x if isinstance(x, tuple) else (x,)
        return self.usual_norm(self.usual_conv(x)), *more


class NormFirst(Network):
    def inner(self, x):
        return self.conv(self.norm(x))


class TwoReaders(Network):
    def inner(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class CalledTwice(Network):
    def inner(self, x):
        return self.norm(self.conv(self.norm(self.conv(x))))


class InPlaceBetween(Network):
    def inner(self, x):
        return self.norm(self.conv(x).relu_().neg_().neg_()) + self.conv(x)


class TwoNames(Network):
    """A U-Net's encoder over a trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(self.conv, self.norm, nn.ReLU())

    def inner(self, x):
        return self.encoder(x)


class NoStatistics(Network):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)


class OfTheBatch(Network):
    def train(self, mode=True):
        super().train(mode)
        self.norm.train()
        return self


class OfTwoLayers(Network):
    """Another convolution has the same weights; it is called elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 3, 1)
        self.other.weight = self.conv.weight


class Clamped(Network):
    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).clamp(-60, 60)

    def __init__(self) -> None:
        super().__init__()
        self.norm = self.Norm(3)


class GivesItToo(Network):
    def inner(self, x):
        y = self.conv(x)
        return self.norm(y), y


@torch.no_grad()
@pytest.mark.parametrize(
    'kind',
    [NormFirst, TwoReaders, CalledTwice, InPlaceBetween, TwoNames, NoStatistics, OfTheBatch]
    + [GivesItToo, OfTwoLayers, Clamped],
)
def test_a_norm_that_is_not_its_convolution_s_alone_is_left(kind):
    model = kind().eval()
    before = model(IMAGES)
    assert fold(model) == 1 and not isinstance(model.usual_norm, nn.BatchNorm2d)
    for a, b in zip(before, model(IMAGES)):
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


class NoBias(Network):
    def inner(self, x):
        return self.norm(nn.functional.conv2d(x, self.conv.weight))


class ReadsTheNorm(Network):
    def inner(self, x):
        return self.norm(self.conv(x)) * self.norm.weight.mean()


class LooksAtItsNorms(Network):
    def train(self, mode=True):
        super().train(mode)
        self.norm.weight.requires_grad_(mode)
        return self


class InAList(Network):
    def inner(self, x):
        norms = self.__dict__.setdefault('kept', [self.norm])
        return norms[0](self.conv(x))


class HasNoNumbersToo(InAList):
    """A wrong map beside one with a NaN."""

    def inner(self, x):
        return super().inner(x), x.sum() / 0, (x * 0).sum() / 0, torch.zeros(2)


@torch.no_grad()
@pytest.mark.parametrize('kind', [NoBias, ReadsTheNorm, InAList, HasNoNumbersToo, LooksAtItsNorms])
def test_a_network_that_would_give_other_maps_is_put_back(kind, monkeypatch):
    said = []
    monkeypatch.setattr(MMLogger, 'warning', lambda logger, text: said.append(text))
    model = kind().eval()
    before = model(IMAGES)[0]
    assert fold(model) == 0
    assert torch.equal(model(IMAGES)[0], before)
    assert f'the batch norms of the {kind.__name__} are left as they are' in said[0]


@torch.no_grad()
@pytest.mark.parametrize(('kind', 'place'), [('ModuleOutputs', 'first'), ('ModuleInputs', 'then')])
def test_what_is_recorded_of_a_part_is_left_as_it_is(kind, place):
    """The container has the convolution last, or the norm first."""

    class Parts(Network):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.then = nn.Sequential(self.conv), nn.Sequential(self.norm, nn.ReLU())
            del self.conv, self.norm

        def inner(self, x):
            return self.then(self.first(x))

    model = Parts().eval()
    assert fold(model, part=dict(type=kind, source=place)) == 1


@torch.no_grad()
def test_what_is_recorded_is_left_as_it_is():
    model = trained(NETWORKS['fcn'])
    count, before = norms(model), model(IMAGES, mode='tensor')
    model.decode_head.convs[0].conv.register_forward_hook(lambda *_: None)
    weight = dict(type='Parameter', source='backbone.layer1.0.conv1.weight')
    assert fold(model, weight=weight) == count - 2
    torch.testing.assert_close(model(IMAGES, mode='tensor'), before)


def test_weights_as_they_were_cannot_be_loaded_any_more():
    model = trained(NETWORKS['fcn'])
    weights = copy.deepcopy(model.state_dict())
    fold(model)
    with pytest.raises(RuntimeError, match='build it with fold_teacher=False'):
        load_state_dict(model, weights)
    model.load_state_dict(copy.deepcopy(model.state_dict()))


def test_the_distillation_folds_and_keeps_the_identity(distillation):
    plain, folded = (
        distillation(1, f'fold_{fold}', **{'model.fold_teacher': fold}).model
        for fold in (False, True)
    )
    assert norms(plain.teacher) > 0 == norms(folded.teacher)
    assert plain.teacher_identity == folded.teacher_identity
    for model in (plain, folded):
        model.record(IMAGES)
    maps = [model.distiller.raw_record('feature', False) for model in (plain, folded)]
    assert (maps[0] - maps[1]).abs().max() <= 1e-5 * maps[0].abs().max()


def test_a_whole_checkpoint_is_held_against_the_weights_as_they_were_loaded(distillation):
    """One of MMRazor's has the teacher's weights, before any folding."""
    plain, folded = (
        distillation(1, f'whole_{fold}', **{'model.fold_teacher': fold}).model
        for fold in (False, True)
    )
    whole = {**plain.state_dict(), **plain.teacher.state_dict(prefix='teacher.')}
    del whole['teacher_identity']
    folded.load_state_dict(copy.deepcopy(whole))
    assert folded.teacher_of_checkpoint is None
    whole['teacher.decode_head.conv_seg.bias'] += 1
    folded.load_state_dict(whole)
    assert folded.teacher_of_checkpoint == 'whose weights it holds'
