"""Pictures of the attention while a network trains."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import VISBACKENDS
from mmengine.runner import set_random_seed
from mmengine.visualization import BaseVisBackend
from torch import nn

from mmrazor_tat.engine.hooks import AttentionVisualizationHook
from mmrazor_tat.utils.networks import NoInitialWeightsError, seed_of, untrained_model
from mmrazor_tat.visualization.attention import image as image_module
from mmrazor_tat.visualization.attention.image import attention_of_image

HOOK = dict(type='mmrazor.AttentionVisualizationHook', interval=2, num_images=2, count=2)


@VISBACKENDS.register_module()
class InMemory(BaseVisBackend):
    """Keeps the images that it is given."""

    images: list = []

    def _nothing(self, *_, **__):
        pass

    def add_image(self, name, image, step=0, **_):
        self.images.append((name, step, image))

    experiment = _init_env = add_config = add_graph = add_scalar = add_scalars = _nothing


@pytest.fixture
def in_memory():
    InMemory.images = []
    return InMemory.images


def with_hook(*backends, **changes):
    settings = {'default_hooks.attention': {**HOOK, **changes}}
    if backends:
        settings['visualizer.vis_backends'] = [dict(type=backend) for backend in backends]
    return settings


def test_before_every_interval_and_at_the_end(distillation, toy_voc, monkeypatch, in_memory):
    seen = []

    def look(model, *args, **kwargs):
        seen.append((model.training, attention_of_image(model, *args, **kwargs)))
        return seen[-1][1]

    monkeypatch.setattr(image_module, 'attention_of_image', look)
    runner = distillation(3, **with_hook('LocalVisBackend', 'InMemory'))
    runner.train()
    names = sorted(path.stem for path in (toy_voc / 'JPEGImages').glob('val_*.jpg'))[:2]
    expected = [(f'attention_{name}', step) for step in (0, 2, 3) for name in names]
    assert [(name, step) for name, step, _ in in_memory] == expected
    folder = Path(runner.log_dir) / 'vis_data/vis_image'
    files = sorted(f'{name}_{step}.png' for name, step in expected)
    assert sorted(path.name for path in folder.glob('attention_*')) == files
    for name, step, image in in_memory:  # RGB here, and the same in the file
        assert (cv2.imread(str(folder / f'{name}_{step}.png'))[..., ::-1] == image).all()
        assert image.dtype == np.uint8 and image.shape[2] == 3 and image.std() > 20
    # Of one image the points are the same at each step, and the attention moves.
    first, _, after_two, _, last, _ = (attention for _, attention in seen)
    assert first.points == after_two.points == last.points and len(first.points) == 2
    anchor = [attention.maps[0][1].weights for attention in (first, after_two, last)]
    assert not torch.equal(anchor[0], anchor[1]) and not torch.equal(anchor[1], anchor[2])
    assert [training for training, _ in seen][2:4] == [True, True]  # and so it trains on


def test_the_training_is_untouched_to_the_bit(distillation, in_memory):
    weights = []
    for settings in ({}, with_hook('InMemory', interval=1, num_images=1)):
        set_random_seed(0)
        runner = distillation(3, f'run{len(weights)}', **settings)
        runner.train()
        weights.append(runner.model.state_dict())
    assert len(in_memory) == 4
    without, with_it = weights
    assert without.keys() == with_it.keys()
    assert any('running_mean' in name for name in without)
    assert all(torch.equal(x, with_it[name]) for name, x in without.items())


def test_a_training_that_diverges_goes_on(distillation, in_memory, monkeypatch, caplog):
    """Its maps are not finite; and what cannot be painted at all is warned of."""
    settings = {'optim_wrapper.optimizer.lr': 1e30, 'log_level': 'WARNING'}
    settings['default_hooks.finite_loss'] = None
    runner = distillation(3, **settings, **with_hook('InMemory', interval=1, num_images=1))
    runner.logger.addHandler(caplog.handler)
    paint = AttentionVisualizationHook._add_pictures

    def fail_at_two(self, runner, step):
        if step == 2:
            raise RuntimeError('out of memory')
        paint(self, runner, step)

    monkeypatch.setattr(AttentionVisualizationHook, '_add_pictures', fail_at_two)
    runner.train()
    assert not runner.model.student.decode_head.conv_seg.weight.isfinite().all()
    assert runner.iter == 3 and [step for _, step, _ in in_memory] == [0, 1, 3]
    assert 'no picture at 2: out of memory' in caplog.text


def test_the_first_picture_is_of_the_network_that_is_drawn_anew(distillation, monkeypatch):
    """What tools/visualize_attention.py calls "before"."""
    runner = distillation(1, **with_hook('InMemory', num_images=1))
    before = []
    paint = AttentionVisualizationHook._paint

    def note(self, runner, step):
        if step == 0:
            before.append({k: v.clone() for k, v in runner.model.state_dict().items()})
        paint(self, runner, step)

    monkeypatch.setattr(AttentionVisualizationHook, '_paint', note)
    runner.train()
    checkpoint = torch.load(Path(runner.work_dir) / 'iter_1.pth', weights_only=False)
    seed = seed_of(runner.cfg, checkpoint['meta'])
    assert seed == runner.seed
    again = untrained_model(runner.cfg, seed).state_dict()
    assert before[0].keys() == again.keys()
    assert all(torch.equal(x, again[name]) for name, x in before[0].items())
    other = untrained_model(runner.cfg, seed + 1).state_dict()
    assert not all(torch.equal(x, other[name]) for name, x in again.items())
    runner.cfg.model.architecture.init_cfg = dict(type='Pretrained', checkpoint='gone.pth')
    with pytest.raises(NoInitialWeightsError, match='that the training began with .*gone.pth'):
        untrained_model(runner.cfg, seed)


def test_given_images_and_points(distillation, toy_voc, tmp_path, in_memory):
    image = next((toy_voc / 'JPEGImages').glob('train_*.jpg'))
    (tmp_path / 'other').mkdir()
    twin = tmp_path / 'other' / image.name
    twin.write_bytes(image.read_bytes())
    settings = with_hook('InMemory', images=[str(image), str(twin)], points=[(3, 5)], interval=9)
    distillation(1, **settings).train()
    names = [f'attention_{image.stem}', f'attention_{image.stem}-2']
    assert [(name, step) for name, step, _ in in_memory] == [(n, k) for k in (0, 1) for n in names]


def test_inside_distributed_data_parallel(distillation, in_memory):
    import torch.distributed as dist
    from mmengine.model import MMDistributedDataParallel

    if not dist.is_available():
        pytest.skip('torch without distributed')
    runner = distillation(1, **{'visualizer.vis_backends': [dict(type='InMemory')]})
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
    try:
        runner.model = MMDistributedDataParallel(runner.model).train()
        AttentionVisualizationHook(num_images=1).before_train(runner)
    finally:
        dist.destroy_process_group()
    assert [step for _, step, _ in in_memory] == [0]
    assert all(module.training for module in runner.model.module.student.modules())
    assert not any(module.training for module in runner.model.module.teacher.modules())


def test_a_plain_model():
    runner = SimpleNamespace(model=nn.Module())
    message = 'AttentionVisualizationHook: a Module has no distillation losses'
    with pytest.raises(ValueError, match=message):
        AttentionVisualizationHook().before_train(runner)


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(images=['gone.jpg']), FileNotFoundError, "there is no image 'gone.jpg'"),
        (dict(points=[(3, 64)]), ValueError, r'point 3,64 lies outside .* 64 x 64 pixels'),
    ],
)
def test_errors_before_training(distillation, in_memory, changes, error, message):
    runner = distillation(1, **with_hook('InMemory', **changes))
    with pytest.raises(error, match=message):
        runner.train()
    assert runner.iter == 0 and not in_memory


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        (dict(interval=0), 'interval must be a positive integer, got 0'),
        (dict(num_images=1.5), 'num_images must be a positive integer, got 1.5'),
        (dict(count=True), 'count must be a positive integer, got True'),
        (dict(points=[3, 4]), r'points must be a list of \(x, y\), .*got \[3, 4\]'),
    ],
)
def test_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        AttentionVisualizationHook(**setting)
