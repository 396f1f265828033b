"""A teacher whose batch norms are folded gives the same maps, or is left as it is."""

import copy

import pytest
import torch
from fixtures.networks import NETWORKS
from mmengine.registry import MODELS
from mmrazor.models.task_modules.recorder import ParameterRecorder
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrazor_tat.models.teacher.inference import NormsToFold

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


@torch.no_grad()
def fold(model: nn.Module, recorders=()) -> int:
    """How many batch norms are gone."""
    before, found = norms(model), NormsToFold()
    with found:
        model(torch.zeros(1, *SIZE), mode='tensor')
    found.fold(model, dict(recorders))
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


class Tricky(nn.Module):
    """Norms that were made after a convolution, and read nothing of it, or not it alone."""

    def __init__(self, **kwargs) -> None:
        super().__init__()
        for name in ('early', 'shared', 'twice', 'good'):
            self.add_module(f'{name}_conv', nn.Conv2d(3, 3, 1))
            self.add_module(f'{name}_norm', nn.BatchNorm2d(3))
            nn.init.normal_(self.get_submodule(f'{name}_norm').running_mean)

    def forward(self, x, mode='tensor'):
        x = self.early_conv(self.early_norm(x))
        y = self.shared_conv(x)
        x = self.shared_norm(y) + y
        x = self.twice_norm(self.twice_conv(self.twice_norm(self.twice_conv(x))))
        return self.good_norm(self.good_conv(x).relu_().neg_().neg_()) + self.good_conv(x)


def test_what_has_another_reader_is_left_as_it_is():
    model = Tricky().eval()
    before = model(IMAGES)
    assert fold(model) == 0 and torch.equal(model(IMAGES), before)


@torch.no_grad()
def test_what_is_recorded_is_left_as_it_is():
    model = trained(NETWORKS['fcn'])
    count, before = norms(model), model(IMAGES, mode='tensor')
    model.decode_head.convs[0].conv.register_forward_hook(lambda *_: None)
    weight = ParameterRecorder('backbone.layer1.0.conv1.weight')
    assert fold(model, dict(weight=weight)) == count - 2
    torch.testing.assert_close(model(IMAGES, mode='tensor'), before)


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


OPTIONS = dict(
    channels_last=dict(teacher_channels_last=True),
    bfloat16=dict(teacher_dtype='bfloat16'),
    compiled=dict(teacher_compile=True),
    all=dict(teacher_channels_last=True, teacher_dtype='bfloat16', teacher_compile=True),
    statistics=dict(teacher_mode='bn_train', teacher_compile=True),
)


@pytest.mark.parametrize(
    'name',
    [
        'channels_last',
        'bfloat16',
        'compiled',
        *(pytest.param(name, marks=pytest.mark.slow) for name in ('all', 'statistics')),
    ],
)
def test_a_training_with_each_option(distillation, name):
    """Maps and losses are those of a training without, in float32 for connectors and losses."""
    losses, maps = [], []
    mode = OPTIONS[name].get('teacher_mode', 'eval')
    for options in (dict(teacher_mode=mode, fold_teacher=False), OPTIONS[name]):
        settings = {f'model.{key}': value for key, value in options.items()}
        runner = distillation(2, f'{name}_{len(maps)}', **settings)
        runner.train()
        maps.append(runner.model.distiller.raw_record('feature', False))
        losses.append(runner.message_hub.get_scalar('train/loss').current())
    exact = 'teacher_dtype' not in OPTIONS[name]
    assert maps[1].dtype == torch.float32
    assert (maps[0] - maps[1]).abs().max() <= (1e-5 if exact else 3e-2) * maps[0].abs().max()
    assert losses[1] == pytest.approx(losses[0], rel=1e-5 if exact else 1e-2)
    if not exact:
        assert not torch.equal(maps[0], maps[1])


@pytest.mark.slow
def test_it_is_compiled_in_the_first_iteration_alone(distillation):
    graphs = []
    for iterations in (1, 3):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        distillation(iterations, f'for_{iterations}', **{'model.teacher_compile': True}).train()
        graphs.append(torch._dynamo.utils.counters['stats']['unique_graphs'])
    assert graphs[0] == graphs[1] > 0


def test_a_precision_that_does_not_exist(distillation):
    with pytest.raises(Exception, match="teacher_dtype must be one of .'bfloat16', 'float16'. or"):
        distillation(1, 'wrong', **{'model.teacher_dtype': 'half'})


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
