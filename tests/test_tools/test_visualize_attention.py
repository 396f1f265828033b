"""The pictures of the attention through their command line, and what is compared."""

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config

from mmrazor_tat import config_path
from mmrazor_tat.utils.networks import trained_model
from mmrazor_tat.visualization.attention.comparison import compare_attention


@pytest.fixture
def cfg(demo_teacher):
    cfg = Config.fromfile(config_path('small/demo/tat_student.py'))
    cfg.model.teacher_ckpt = demo_teacher
    return cfg


@pytest.fixture
def checkpoint(cfg, tmp_path):
    """A function that saves a network of random weights as a training would."""

    def checkpoint(name='iter_1000.pth', **meta):
        torch.manual_seed(sum(map(ord, name)))
        model = trained_model(cfg, with_teacher=True)
        torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / name)
        return str(tmp_path / name)

    return checkpoint


@pytest.fixture
def images(toy_voc):
    """Two of one size."""
    return [str(toy_voc / f'JPEGImages/val_0000{index}.jpg') for index in (0, 3)]


def test_a_picture_for_each_image(repo, here, demo_teacher, checkpoint, images, tmp_path):
    tool = repo / 'tools/visualize_attention.py'
    config = repo / 'configs/small/demo/tat_student.py'
    message = 'visualize_attention: --out one.png is one file for 2 images: name a folder'
    text = here(tool, config, 'gone.pth', *images, '--out', 'one.png', cwd=tmp_path, ok=False)
    assert text.splitlines()[-1] == message and 'Traceback' not in text
    assert not (tmp_path / 'one.png').exists()
    out = tmp_path / 'pictures'
    options = ['--out', out, '--cfg-options', f'model.teacher_ckpt={demo_teacher}']
    points = ['--points', '12,40', '50.5,8']
    text = here(tool, config, checkpoint(iter=1000, seed=3), *images, *points, *options)
    pictures = [out / 'val_00000.png', out / 'val_00003.png']
    assert text.splitlines()[-2:] == [f'{path}: 12,40 and 50,8' for path in pictures]
    assert sorted(out.iterdir()) == pictures
    one, other = (cv2.imread(str(path)) for path in pictures)
    assert one.shape == other.shape and (one != other).any()
    assert one.shape[1] > one.shape[0]  # image and 2 x 2 heat maps beside each other, in two rows


class TestComparison:
    def test_with_the_network_as_it_began(self, cfg, checkpoint, images):
        path = checkpoint(iter=1000, seed=3)
        (states, _), notes = compare_attention(cfg, path, images, count=2)
        assert list(states) == ['before', 'after 1,000 iterations'] and not notes
        before, after = states.values()
        assert before.points == after.points and len(before.points) == 2
        assert not torch.equal(before.maps[0][1].weights, after.maps[0][1].weights)
        ((again, _), _) = compare_attention(cfg, path, images, count=2)
        for a, b in zip(states.values(), again.values()):
            assert all(map(torch.equal, *([m.weights for m in x.maps[1]] for x in (a, b))))

    def test_with_an_earlier_checkpoint(self, cfg, checkpoint, images):
        early, late = checkpoint('early.pth', iter=100), checkpoint('late.pth', iter=1000)
        (states,), notes = compare_attention(cfg, late, images[:1], before=early)
        assert list(states) == ['after 100 iterations', 'after 1,000 iterations'] and not notes
        (of_early,), _ = compare_attention(cfg, early, images[:1], before=None)
        assert list(of_early) == ['after 100 iterations']
        ours, theirs = states['after 100 iterations'], of_early['after 100 iterations']
        assert np.array_equal(ours.image, theirs.image)
        assert torch.equal(ours.maps[0][0].weights, theirs.maps[0][0].weights)
        (states,), _ = compare_attention(cfg, late, images[:1], before=late)
        assert list(states) == ['after 1,000 iterations', 'after']

    def test_without_weights_to_begin_with(self, cfg, checkpoint, images):
        path = checkpoint(iter=1000, seed=3)
        cfg.model.architecture.init_cfg = dict(type='Pretrained', checkpoint='gone.pth')
        (states,), notes = compare_attention(cfg, path, images[:1])
        assert list(states) == ['after 1,000 iterations']
        (note,) = notes
        assert note.startswith('no "before": the weights that the training began with cannot be')
        assert 'gone.pth' in note and '\n' not in note
        cfg.randomness = dict(seed=None)
        _, notes = compare_attention(cfg, checkpoint(iter=1000), images[:1])
        (note,) = notes
        assert note == 'no "before": neither the checkpoint nor the config has the seed of the run'

    def test_a_plain_network_and_another_loss(self, cfg, checkpoint, demo_teacher, images):
        plain = Config.fromfile(config_path('small/demo/teacher.py'))
        with pytest.raises(ValueError, match='a EncoderDecoder has no distillation losses'):
            compare_attention(plain, demo_teacher, images)
        with pytest.raises(ValueError, match='point 64,0 lies outside .*val_00000.jpg'):
            compare_attention(cfg, 'gone.pth', images, points=[(64, 0)])
