"""A trained network from its config and its checkpoint."""

import pytest
import torch
from mmengine import Config

from mmrazor_tat import config_path
from mmrazor_tat.utils.networks import image_batch, student_weights, trained_model


@pytest.fixture
def recipe(demo_teacher):
    cfg = Config.fromfile(config_path('small/demo/tat_student.py'))
    cfg.model.teacher_ckpt = demo_teacher
    return cfg


@pytest.fixture
def checkpoint(recipe, tmp_path):
    torch.manual_seed(3)
    model = trained_model(recipe, with_teacher=True)
    path = tmp_path / 'iter_9.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return str(path), model


def test_a_recipe_with_its_teacher(recipe, checkpoint, demo_teacher):
    path, before = checkpoint
    model = trained_model(recipe, path, with_teacher=True)
    assert not model.training
    for part in ('student', 'teacher', 'distiller'):
        ours, theirs = (getattr(m, part).state_dict() for m in (model, before))
        assert ours and all(torch.equal(ours[k], theirs[k]) for k in ours)
    saved = torch.load(demo_teacher, weights_only=False)['state_dict']
    name = 'decode_head.conv_seg.weight'
    assert torch.equal(model.teacher.state_dict()[name], saved[name])
    # A plain network takes the student.
    plain = trained_model(Config.fromfile(config_path('small/demo/student.py')), path)
    assert all(map(torch.equal, plain.state_dict().values(), before.student.state_dict().values()))
    weights = student_weights(torch.load(path)['state_dict'])
    assert weights.keys() == plain.state_dict().keys()


def test_the_config_stays_as_it_is(recipe):
    """mmseg moves ``pretrained`` into the backbone, and refuses what it has moved once."""
    recipe.model.architecture.pretrained = 'open-mmlab://resnet18_v1c'
    before = recipe.pretty_text
    trained_model(recipe)
    trained_model(recipe)
    assert recipe.pretty_text == before


def test_a_recipe_without_its_teacher(recipe, checkpoint):
    recipe.model.teacher_ckpt = 'gone.pth'
    model = trained_model(recipe, checkpoint[0])
    assert recipe.model.teacher_ckpt == 'gone.pth' and not model.teacher_is_loaded
    with pytest.raises(FileNotFoundError, match="teacher_ckpt: there is no file 'gone.pth'"):
        trained_model(recipe, checkpoint[0], with_teacher=True)
    recipe.model.teacher_ckpt = None
    with pytest.raises(ValueError, match='teacher_ckpt is None'):
        trained_model(recipe, checkpoint[0], with_teacher=True)


def test_another_network_is_refused(recipe, checkpoint, demo_teacher, tmp_path):
    cfg = Config.fromfile(config_path('small/demo/teacher.py'))
    with pytest.raises(ValueError, match='does not fit the EncoderDecoder of the config') as error:
        trained_model(cfg, checkpoint[0])
    assert 'size mismatch for' in str(error.value) and 'more such lines)' in str(error.value)
    assert len(str(error.value)) < 1500
    with pytest.raises(ValueError, match='holds a plain network, the config is of a distillation'):
        trained_model(recipe, demo_teacher)
    with pytest.raises(FileNotFoundError, match="there is no file 'nowhere.pth'"):
        trained_model(recipe, 'nowhere.pth')


def test_an_image_goes_through_the_test_pipeline(recipe, toy_voc, tmp_path):
    image = next((toy_voc / 'JPEGImages').glob('val_*.jpg'))
    batch = image_batch(recipe, str(image))
    assert batch['inputs'][0].shape == (3, 64, 64) and batch['inputs'][0].dtype == torch.uint8
    assert batch['data_samples'][0].img_path == str(image)
    with pytest.raises(FileNotFoundError, match="there is no image 'nowhere.jpg'"):
        image_batch(recipe, 'nowhere.jpg')
    (tmp_path / 'text.jpg').write_text('no pixels')
    with pytest.raises(ValueError, match='text.jpg.* cannot be read as an image'):
        image_batch(recipe, str(tmp_path / 'text.jpg'))


def test_mmengine_s_hub_builds_a_recipe_and_a_student():
    """``mmengine.hub.get_model``, after ``import mmrazor_tat``."""
    from mmengine import hub

    student = hub.get_model('mmrazor_tat::small/demo/student.py')
    assert sum(p.numel() for p in student.parameters()) == 254_467
    recipe = hub.get_model('mmrazor_tat::small/demo/tat_student.py')
    assert type(recipe).__name__ == 'FrozenTeacherDistill'
    assert recipe.student.state_dict().keys() == student.state_dict().keys()
