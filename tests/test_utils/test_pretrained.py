import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS

from mmrazor_tat.utils.config_options import apply_options
from mmrazor_tat.utils.config_settings import set_pretrained

STUDENT = 'students/deeplabv3plus_r18-d16_1xb16-100e_voc12aug-513x513.py'
RECIPE = 'tat/tat_deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py'
OURS = dict(type='Pretrained', checkpoint='ours.pth')


@pytest.mark.parametrize('name', [STUDENT, RECIPE])
def test_a_plain_network_or_the_student_of_a_recipe(repo, name):
    """The teacher, which loads its checkpoint, is left alone, and so are the data."""
    cfg = Config.fromfile(repo / 'configs' / name)
    network = cfg.model.get('architecture', cfg.model)
    assert network.pretrained == 'open-mmlab://resnet18_v1c'
    data, teacher = str(cfg.train_dataloader), str(cfg.model.get('teacher'))
    apply_options(cfg, {'pretrained': None})
    assert network.pretrained is None and cfg.pretrained is None
    assert str(cfg.train_dataloader) == data and str(cfg.model.get('teacher')) == teacher
    assert name == STUDENT or 'pretrained' not in cfg.model
    with torch.device('meta'):
        assert MODELS.build(network).backbone.init_cfg[0]['type'] == 'Kaiming'


@pytest.mark.parametrize(
    'network',
    [
        dict(pretrained='a.pth', backbone=dict(type='B')),
        dict(backbone=dict(type='B', pretrained='a.pth')),
        dict(backbone=dict(type='B', init_cfg=dict(type='Pretrained', checkpoint='a.pth'))),
    ],
)
def test_wherever_it_stands(network):
    """None of it is left; a text stands in one place."""
    cfg = Config(dict(model=network))
    set_pretrained(cfg, None)
    assert 'a.pth' not in str(cfg.model)
    set_pretrained(cfg, 'b.pth')
    assert str(cfg.model).count('b.pth') == 1 and cfg.model.pretrained == 'b.pth'


def test_what_is_not_about_the_backbone_stays():
    """Another initialisation, and the weights that a suite hands over for the whole network."""
    normal = dict(type='Normal', layer='Conv2d')
    cfg = Config(dict(model=dict(init_cfg=OURS, backbone=dict(type='B', init_cfg=normal))))
    set_pretrained(cfg, None)
    assert cfg.model == dict(init_cfg=OURS, backbone=dict(type='B', init_cfg=normal))
    # A class that does not take the argument could not be built with it.
    cfg = Config(dict(model=dict(type='Net')))
    set_pretrained(cfg, None)
    assert cfg.model == dict(type='Net')
    with pytest.raises(ValueError, match='has no model'):
        set_pretrained(Config(dict(train_cfg=dict())), None)


@pytest.mark.parametrize('weights', [True, 0, '', ['a.pth'], dict(type='Pretrained')])
def test_what_is_no_checkpoint(weights):
    cfg = Config(dict(model=dict(type='Net')))
    with pytest.raises(ValueError, match='pretrained must be None or the text of a checkpoint'):
        set_pretrained(cfg, weights)
