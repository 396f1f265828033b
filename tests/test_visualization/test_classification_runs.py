"""What is made of a classifier's run, and what is refused as it is of segmentation."""

import json
from types import SimpleNamespace

import pytest
from mmengine import Config
from torch import nn

from mmrazor_tat.engine.hooks import AttentionVisualizationHook
from mmrazor_tat.utils.metrics import main_metric, metric_title
from mmrazor_tat.visualization.attention import maps
from mmrazor_tat.visualization.attention.comparison import compare_attention
from mmrazor_tat.visualization.panels import validation_data
from mmrazor_tat.visualization.report import gather, page, save_report

CONFIG = """
default_scope = 'mmpretrain'
model = dict(type='ImageClassifier', backbone=dict(type='ResNet'), head=dict(num_classes=2))
train_cfg = dict(max_iters=4)
"""


@pytest.fixture
def run(tmp_path):
    """A work dir of four iterations, validated twice beside the teacher."""
    folder = tmp_path / 'run/20260101_000000/vis_data'
    folder.mkdir(parents=True)
    lines = [dict(loss=2.0, iter=step, step=step, lr=0.1, time=0.5) for step in (1, 2, 3, 4)]
    for step, value in ((2, 62.5), (4, 50.0)):
        of = {'accuracy/top1': value, 'accuracy/top5': 99.0}
        of.update({'student/accuracy/top1': value, 'teacher/accuracy/top1': 75.0})
        lines.append(dict(of, step=step))
    (folder / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    (folder / 'config.py').write_text(CONFIG)
    return tmp_path / 'run'


def test_a_report(run):
    found = gather(run)
    assert found.notes == ['no panels and no attention pictures: these are of segmentation']
    assert found.comparison is None and found.attention == {}
    columns, rows = page._table(found)
    assert columns == ['iterations', 'last accuracy/top1', 'best accuracy/top1']
    assert rows == [('teacher', ['', '75.00', '']), ('run', ['4', '50.00', '62.50 at 2'])]
    save_report(found, run / 'report.html')
    assert '62.50 at 2' in (run / 'report.html').read_text()


def test_the_metric_of_a_run():
    """Of segmentation the mIoU, also where a classification is measured beside it."""
    assert main_metric(['aAcc', 'mIoU', 'accuracy/top1']) == 'mIoU'
    assert main_metric(['accuracy/top5', 'accuracy/top1', 'teacher/accuracy/top1']) == (
        'accuracy/top1'
    )
    assert main_metric(['teacher/accuracy/top1']) == main_metric([]) == 'mIoU'
    assert metric_title('accuracy/top1') == 'top-1 accuracy'
    assert metric_title('mIoU') == 'mIoU'


@pytest.fixture
def cfg(tmp_path) -> Config:
    (tmp_path / 'classifier.py').write_text(CONFIG)
    return Config.fromfile(tmp_path / 'classifier.py')


def test_pictures_of_segmentation_are_refused(cfg, monkeypatch):
    """Before anything is read or built."""
    error = "of segmentation, and the network of config '.*classifier.py' is a classifier"
    with pytest.raises(ValueError, match=f'^panels are {error}'):
        validation_data(cfg)
    with pytest.raises(ValueError, match=f'^attention pictures are {error}'):
        compare_attention(cfg, 'gone.pth', ['gone.png'])
    hook = AttentionVisualizationHook(interval=1)
    monkeypatch.setattr(maps, 'require_tat_loss', lambda model: None)
    with pytest.raises(ValueError, match=f'^AttentionVisualizationHook: its pictures are {error}'):
        hook.before_train(SimpleNamespace(cfg=cfg, model=nn.Module()))
