"""A teacher that is run otherwise, compiled or in half precision, teaches the same."""

import pytest
import torch

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
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


@torch.no_grad()
def test_the_weights_of_a_compiled_teacher_are_constants(distillation):
    """As torch's "freezing" makes them: this is where the time is gained."""
    model = distillation(1, 'frozen', **{'model.teacher_compile': True}).model
    model.record(IMAGES)
    before = model.distiller.raw_record('feature', False).clone()
    for weight in model.teacher.parameters():
        weight.mul_(0.5)
    model.record(IMAGES)
    assert torch.equal(model.distiller.raw_record('feature', False), before)


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
