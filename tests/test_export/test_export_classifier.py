"""A trained classifier is shipped for mmpretrain alone."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config

from mmrazor_tat import config_path
from mmrazor_tat.export import export_student
from mmrazor_tat.utils.networks import student_weights, trained_model

RECIPE = 'kd/kd_resnet34_resnet18_8xb256-100e_imagenet.py'
# In a process that never imports mmrazor.
LOAD = """
import sys
import torch
from mmpretrain import get_model
from mmpretrain.apis import ImageClassificationInferencer
config, checkpoint, image = sys.argv[1:]
model = get_model(config, pretrained=checkpoint, device='cpu')
result = ImageClassificationInferencer(model)(image)[0]
assert 'mmrazor' not in sys.modules and 'mmrazor_tat' not in sys.modules
print('class', result['pred_label'], result['pred_class'])
"""

pytestmark = pytest.mark.mmpretrain


@pytest.fixture(scope='module')
def recipe() -> str:
    return config_path(RECIPE)


@pytest.fixture(scope='module')
def image(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp('image') / 'noise.png')
    noise = np.random.default_rng(0).integers(0, 256, (250, 300, 3), dtype=np.uint8)
    cv2.imwrite(path, noise)
    return path


@pytest.fixture(scope='module')
def checkpoint(recipe, tmp_path_factory) -> str:
    torch.manual_seed(5)
    model = trained_model(Config.fromfile(recipe))
    path = tmp_path_factory.mktemp('run') / 'epoch_9.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=9, iter=90)), path)
    return str(path)


def test_for_mmpretrain_alone(recipe, checkpoint, image, tmp_path, command):
    out = tmp_path / 'out'
    report = export_student(recipe, checkpoint, out, image)
    assert {p.name for p in out.iterdir()} == {'student.py', 'student.pth', 'export.json'}
    saved = torch.load(out / 'student.pth', weights_only=True)
    expected = student_weights(torch.load(checkpoint)['state_dict'])
    assert saved['state_dict'].keys() == expected.keys()
    assert all(torch.equal(saved['state_dict'][name], expected[name]) for name in expected)
    assert saved['meta']['dataset_meta']['classes'][:2] == (
        ['tench, Tinca tinca', 'goldfish, Carassius auratus']
    )
    text = (out / 'student.py').read_text()
    assert 'mmrazor' not in text and 'teacher' not in text and 'ImageClassifier' in text

    assert report == json.loads((out / 'export.json').read_text())
    network = report['network']
    assert (network['type'], network['backbone'], network['head']) == (
        ('ImageClassifier', 'ResNet', 'LinearClsHead')
    )
    assert network['parameters'] == 11_689_512 and len(network['classes']) == 1000
    assert report['proof']['inputs'] == [1, 3, 224, 224] and report['proof']['logits'] == [1000]
    assert report['preprocessing']['channel_order'] == 'RGB'
    assert report['preprocessing']['mean'] == [123.675, 116.28, 103.53]
    assert report['versions']['mmpretrain']

    script = tmp_path / 'load.py'
    script.write_text(LOAD)
    said = command(script, out / 'student.py', out / 'student.pth', image).split('class ')[-1]
    label, name = said.strip().split(' ', 1)
    assert name == network['classes'][int(label)]


def test_other_predictions_are_refused(recipe, checkpoint, image, tmp_path, monkeypatch):
    """Nothing is left of a student that predicts something else."""
    from mmrazor_tat.export import make

    load = make.load_shipped

    def other(*files):
        model = load(*files)
        model.data_preprocessor.to_rgb = False
        return model

    monkeypatch.setattr(make, 'load_shipped', other)
    with pytest.raises(ValueError, match='inputs differ, by up to .* the image reaches the netw'):
        export_student(recipe, checkpoint, tmp_path / 'out', image)
    assert not (tmp_path / 'out').exists()


def test_onnx_is_for_segmentors(recipe, checkpoint, image, tmp_path):
    pytest.importorskip('onnxscript')
    with pytest.raises(ValueError, match='--onnx is for segmentors, and the student of .* is a c'):
        export_student(recipe, checkpoint, tmp_path / 'out', image, True)
    assert not (tmp_path / 'out').exists()
