from pathlib import Path

import pytest
from mmengine import Config

from mmrazor_tat.utils.config_options import apply_options
from mmrazor_tat.utils.config_settings import set_data_root

RECIPE = 'tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'


def test_every_data_set_follows(repo):
    """VOC's training data are two data sets in one, and both are under the root."""
    cfg = Config.fromfile(repo / 'configs' / RECIPE)
    model, pipeline = str(cfg.model), str(cfg.train_pipeline)
    apply_options(cfg, {'data_root': '/data/voc'})
    voc, augmented = cfg.train_dataloader.dataset.datasets
    datasets = [voc, augmented, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]
    assert [dataset.data_root for dataset in datasets] == ['/data/voc'] * 4
    assert augmented.data_prefix.seg_map_path == 'SegmentationClassAug'
    assert 'data_root' not in cfg.train_dataloader.dataset  # ConcatDataset takes none
    assert cfg.data_root == '/data/voc'
    assert (str(cfg.model), str(cfg.train_pipeline)) == (model, pipeline)


def test_wrappers_within_wrappers():
    leaf = dict(type='BaseSegDataset', pipeline=[dict(type='X', dataset='no data set')])
    inner = dict(type='RepeatDataset', times=2, dataset=leaf)
    outer = dict(type='ConcatDataset', datasets=[inner, dict(leaf, data_root='old')])
    cfg = Config(dict(train_dataloader=dict(dataset=outer), val_dataloader=None))
    set_data_root(cfg, Path('new'))
    repeated, plain = cfg.train_dataloader.dataset.datasets
    assert 'data_root' not in repeated
    assert repeated.dataset.data_root == plain.data_root == 'new'
    assert cfg.train_dataloader.dataset.keys() == {'type', 'datasets'}
    assert repeated.dataset.pipeline == [dict(type='X', dataset='no data set')]


@pytest.mark.parametrize('root', [7, '', ['a', 'b'], None])
def test_a_root_that_is_none(repo, root):
    cfg = Config.fromfile(repo / 'configs' / RECIPE)
    with pytest.raises(ValueError, match='data_root must be the path of a folder, got'):
        set_data_root(cfg, root)


def test_a_config_without_data():
    with pytest.raises(ValueError, match='data_root: no data set in a dataloader'):
        set_data_root(Config(dict(model=dict())), 'new')
