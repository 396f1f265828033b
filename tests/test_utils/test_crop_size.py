import pytest
from mmengine import Config

from mmrazor_tat.engine import set_crop_size

RECIPES = [
    'tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py',
    'tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_coco-stuff10k-512x512.py',
    'students/deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512.py',
]


@pytest.mark.parametrize('name', RECIPES)
def test_every_training_crop_and_the_padding_follow(repo, name):
    cfg = Config.fromfile(repo / 'configs' / name)
    testing = str(cfg.test_dataloader)
    set_crop_size(cfg, (96, 128))
    training = str(cfg.train_dataloader.to_dict())
    assert '512, 512' not in training and '(96, 128)' in training
    assert cfg.data_preprocessor['size'] == (96, 128)
    model = cfg.model.get('architecture', cfg.model)
    assert model.data_preprocessor['size'] == (96, 128)
    assert str(cfg.test_dataloader) == testing


@pytest.mark.parametrize('size', [128, (128,), (0, 5), ('a', 'b')])
def test_a_size_that_is_none(repo, size):
    cfg = Config.fromfile(repo / 'configs' / RECIPES[0])
    with pytest.raises(ValueError, match='crop_size must be two positive integers'):
        set_crop_size(cfg, size)


def test_a_config_without_a_crop():
    with pytest.raises(ValueError, match='no RandomCrop in train_dataloader'):
        set_crop_size(Config(dict(train_dataloader=dict())), (64, 64))
