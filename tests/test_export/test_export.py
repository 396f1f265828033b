"""A trained student is shipped once it is proven to predict the same, or nothing is left."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine import Config
from mmengine.hooks import EMAHook
from mmseg.registry import MODELS

from mmrazor_tat import config_path
from mmrazor_tat.engine.runner.guarded_runner import GUARDS
from mmrazor_tat.export import export_student, make
from mmrazor_tat.export.checkpoint import preprocessing
from mmrazor_tat.export.proof import Prediction, prove_equal, prove_same_weights
from mmrazor_tat.utils.config_options import apply_options
from mmrazor_tat.utils.networks import student_weights, trained_model

RECIPE = config_path('small/demo/tat_student.py')


@pytest.fixture
def options(toy_voc) -> dict:
    return dict(data_root=str(toy_voc))


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> str:
    """Of a distillation; its batch norms have seen something, and the labels are not all one."""
    torch.manual_seed(5)
    model = trained_model(Config.fromfile(RECIPE))
    for module in model.architecture.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(model.architecture.decode_head.conv_seg.weight, 0, 1)
    path = tmp_path_factory.mktemp('run') / 'iter_9.pth'
    weights = {k: v.half() if 'conv_seg' in k else v for k, v in model.state_dict().items()}
    content = dict(state_dict=weights, optimizer=dict(lr=1), message_hub=dict(loss=3))
    torch.save(content | dict(meta=dict(iter=9, epoch=0, cfg='teacher')), path)
    return str(path)


def test_what_is_written(checkpoint, options, toy_voc, tmp_path):
    out = tmp_path / 'shipped' / 'student'
    report = export_student(RECIPE, checkpoint, out, options=options)
    assert {p.name for p in out.iterdir()} == {'student.py', 'student.pth', 'export.json'}
    assert [p.name for p in out.parent.iterdir()] == ['student']  # nothing unfinished

    saved = torch.load(out / 'student.pth', weights_only=True)
    assert saved.keys() == {'meta', 'state_dict'}
    expected = student_weights(torch.load(checkpoint)['state_dict'])
    assert expected['decode_head.conv_seg.weight'].dtype == torch.float16
    assert saved['state_dict'].keys() == expected.keys()
    for name, value in saved['state_dict'].items():
        assert torch.equal(value, expected[name].to(value.dtype))
        assert value.dtype == (torch.int64 if 'num_batches' in name else torch.float32)
    meta = saved['meta']
    assert meta.keys() == {'dataset_meta', 'cfg', 'iter', 'epoch'} and meta['iter'] == 9
    assert meta['dataset_meta']['classes'][:2] == ['background', 'disc']
    assert meta['dataset_meta']['palette'][1] == [220, 60, 50]
    assert meta['cfg'] == (out / 'student.py').read_text()

    assert report == json.loads((out / 'export.json').read_text())
    assert report['checkpoint'].keys() == {'name', 'sha256', 'iter', 'epoch'}
    assert report['checkpoint']['name'] == 'iter_9.pth' and report['config'] == 'tat_student.py'
    assert report['proof']['image']['name'] == 'val_00000.jpg'
    assert report['proof']['logits'] == [7, 64, 64]
    assert report['proof']['equal']
    assert report['preprocessing'] == {
        'channel_order': 'RGB',
        'mean': [123.675, 116.28, 103.53],
        'std': [58.395, 57.12, 57.375],
        **dict(size=None, size_divisor=None, pad_value=0),
    }
    assert report['sha256'].keys() == {'student.py', 'student.pth'}
    assert report['sha256']['student.pth'] == make.sha256_of(out / 'student.pth')
    assert str(tmp_path) not in (out / 'export.json').read_text()


@pytest.mark.parametrize('setting', ['bgr_to_rgb', 'rgb_to_bgr', None])
def test_an_image_that_is_prepared_as_the_report_says_is_the_network_s_input(setting):
    """mmseg's preprocessor on a BGR image, against the numbers that are written."""
    own = dict(type='SegDataPreProcessor', mean=[10.0, 20.0, 30.0], std=[2.0, 4.0, 5.0])
    if setting:
        own[setting] = True
    cfg = Config(dict(model=dict(data_preprocessor=own)))
    network = SimpleNamespace(data_preprocessor=MODELS.build(dict(own)), cfg=cfg)
    image = torch.arange(3 * 4 * 5, dtype=torch.uint8).view(3, 4, 5)  # B, G, R
    (expected,) = network.data_preprocessor(dict(inputs=[image]))['inputs']
    said = preprocessing(network)
    order = dict(BGR=[0, 1, 2], RGB=[2, 1, 0])[said['channel_order']]
    mean, std = (torch.tensor(said[key]).view(3, 1, 1) for key in ('mean', 'std'))
    torch.testing.assert_close((image.float()[order] - mean) / std, expected)


def test_a_student_that_has_diverged(checkpoint, options, tmp_path):
    content = torch.load(checkpoint, weights_only=False)
    content['state_dict']['architecture.decode_head.conv_seg.bias'][0] = float('nan')
    torch.save(content, tmp_path / 'diverged.pth')
    with pytest.raises(ValueError, match='decode_head.conv_seg.bias of the checkpoint has values'):
        export_student(RECIPE, str(tmp_path / 'diverged.pth'), tmp_path / 'out', options=options)
    assert not (tmp_path / 'out').exists()


def test_another_image_over_an_earlier_export(checkpoint, options, toy_voc, tmp_path, monkeypatch):
    """In the present folder."""
    out = tmp_path / 'out'
    out.mkdir()
    monkeypatch.chdir(out)
    for name in ('student.onnx', 'student.py', 'mine.txt'):
        (out / name).write_text('old')
    with pytest.raises(ValueError, match='has student.py, student.onnx: choose another folder, or'):
        export_student(RECIPE, checkpoint, '.', options=options)
    image = sorted((toy_voc / 'JPEGImages').glob('val_*.jpg'))[2]
    report = export_student(RECIPE, checkpoint, '.', str(image), force=True, options=options)
    assert report['proof']['image']['name'] == image.name
    # An ONNX file of another student would be worse than none.
    files = {'student.py', 'student.pth', 'export.json', 'mine.txt'}
    assert {p.name for p in out.iterdir()} == files
    assert [path.name for path in tmp_path.glob('*out*')] == ['out']  # nothing unfinished
    assert (out / 'student.py').read_text() != 'old'
    assert Config.fromfile(out / 'student.py').model.type == 'EncoderDecoder'


def test_a_plain_network_and_the_student_of_a_distillation_in_its_config(
    checkpoint, options, tmp_path
):
    student = config_path('small/demo/student.py')
    first = export_student(student, checkpoint, tmp_path / 'a', options=options)
    plain = tmp_path / 'a' / 'student.pth'
    second = export_student(tmp_path / 'a/student.py', plain, tmp_path / 'b', options=options)
    guards = [f'default_hooks.{name} (mmrazor.{hook})' for name, hook in GUARDS.items()]
    assert first['left_out'] == guards and second['left_out'] == []
    assert first['sha256']['student.py'] == second['sha256']['student.py']
    a, b = (torch.load(tmp_path / f'{name}/student.pth')['state_dict'] for name in 'ab')
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_averaged_weights_are_shipped(distillation, options, tmp_path):
    runner = distillation(3, custom_hooks=[dict(type='EMAHook', momentum=0.4)])
    used = {}
    step = runner.model.val_step

    def val_step(data):
        used.update({k: v.clone() for k, v in runner.model.architecture.state_dict().items()})
        return step(data)

    runner.model.val_step = val_step
    runner.train()
    checkpoint = f'{runner.work_dir}/iter_3.pth'
    export_student(RECIPE, checkpoint, tmp_path / 'out', options=options)
    shipped = torch.load(tmp_path / 'out/student.pth')['state_dict']
    assert any(isinstance(hook, EMAHook) for hook in runner.hooks)
    name = 'decode_head.conv_seg.weight'
    assert not torch.equal(shipped[name], runner.model.architecture.state_dict()[name])
    assert shipped.keys() == used.keys()
    assert all(torch.equal(shipped[key], used[key]) for key in used)


@pytest.mark.parametrize('where', ['model', 'test_pipeline', 'weights'])
def test_without_proof_nothing_is_left(checkpoint, options, tmp_path, monkeypatch, where):
    plain_config, save = make.plain_config, make.save_atomically

    def wrong_config(cfg):
        plain, left_out = plain_config(cfg)
        if where == 'model':
            plain.model.decode_head.align_corners = True
        elif where == 'test_pipeline':
            plain.test_pipeline[1].scale = (96, 96)
        return plain, left_out

    def wrong_weights(content, path):
        if where == 'weights':
            del content['state_dict']['decode_head.conv_seg.bias']
        save(content, path)

    monkeypatch.setattr(make, 'plain_config', wrong_config)
    monkeypatch.setattr(make, 'save_atomically', wrong_weights)
    message = {
        'model': r'does not predict what the recipe predicts: [\d,]+ of 28,672 logits differ, by '
        'up to .*; the networks differ',
        'test_pipeline': r'inputs of \(1, 3, 96, 96\) instead of \(1, 3, 64, 64\); the image '
        'reaches the network differently',
        'weights': 'has other weights than the recipe: decode_head.conv_seg.bias$',
    }[where]
    with pytest.raises(ValueError, match=message):
        export_student(RECIPE, checkpoint, tmp_path / 'new/out', options=options)
    assert list(tmp_path.iterdir()) == []


def test_of_a_wrong_onnx_file_nothing_is_left(checkpoint, options, tmp_path, monkeypatch):
    sizes = []

    def write(network, example, is_dynamic, meta, path):
        sizes.append(tuple(example.shape))
        path.write_text('wrong')

    def check(path, *_):
        raise ValueError(f'{path.read_text()} logits')

    monkeypatch.setattr(make, 'require_onnx', lambda: None)
    monkeypatch.setattr(make, 'write_onnx', write)
    monkeypatch.setattr(make, 'check_onnx', check)
    with pytest.raises(ValueError, match='wrong logits'):
        export_student(RECIPE, checkpoint, tmp_path / 'out', onnx=(32, 48), options=options)
    assert sizes == [(2, 3, 32, 48)] and list(tmp_path.iterdir()) == []


def test_the_proof_itself():
    torch.manual_seed(0)
    image, logits = torch.rand(1, 3, 4, 4), torch.rand(2, 4, 4)
    same = Prediction(image, logits, logits.argmax(0, keepdim=True))
    prove_equal(same, Prediction(image.clone(), logits.clone(), same.labels.clone()))
    other = logits.clone()
    other[1, 2, 3] = torch.nextafter(other[1, 2, 3], torch.tensor(9.0))  # one bit
    with pytest.raises(ValueError, match='1 of 32 logits differ, by up to'):
        prove_equal(same, Prediction(image, other, same.labels))
    with pytest.raises(ValueError, match='1 of 16 labels differ'):
        labels = same.labels.clone()
        labels[0, 0, 0] = 1 - labels[0, 0, 0]
        prove_equal(same, Prediction(image, logits, labels))
    a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match='other weights than the recipe: weight, bias$'):
        prove_same_weights(a, b)


def test_a_mobilenet_recipe_of_the_mmseg_protocol(toy_voc, tmp_path):
    """Pictures are enlarged to 512 pixels there; the networks are narrow."""
    name = 'tat/tat_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py'
    narrow = dict(in_channels=32, channels=8), dict(in_channels=16, channels=8)
    settings = {
        'data_root': str(toy_voc),
        'crop_size': (264, 264),
        'model.distiller.distill_losses.loss_tat.views.0.grid': (8, 8),
        'model.distiller.distill_losses.loss_tat.views.0.groups': 64,
        'model.architecture.backbone.widen_factor': 0.25,
        'model.architecture.decode_head': dict(in_channels=80, channels=8),
        'model.architecture.auxiliary_head': dict(in_channels=24, channels=8),
        'model.teacher.backbone.base_channels': 1,
        'model.teacher.backbone.stem_channels': 2,
        'model.teacher.decode_head': narrow[0],
        'model.teacher.auxiliary_head': narrow[1],
    }
    cfg = Config.fromfile(config_path(name))
    apply_options(cfg, settings)
    torch.manual_seed(1)
    model = trained_model(cfg)
    path = tmp_path / 'iter_40000.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    report = export_student(config_path(name), path, tmp_path / 'out', options=settings)
    assert report['proof']['inputs'] == [1, 3, 512, 512]
    assert report['proof']['logits'] == [21, 64, 64]
    assert report['left_out'] == [
        *(f'default_hooks.{name} (mmrazor.{hook})' for name, hook in GUARDS.items()),
        'default_hooks.teacher_check (mmrazor.TeacherCheckHook)',
        'default_hooks.teacher_evaluation (mmrazor.TeacherEvaluationHook)',
    ]
    meta = torch.load(tmp_path / 'out/student.pth')['meta']['dataset_meta']
    assert meta['classes'][-1] == 'tvmonitor' and meta['palette'][-1] == [0, 64, 128]  # VOC's own
    shipped = Config.fromfile(tmp_path / 'out/student.py')
    assert shipped.model.pretrained is None and shipped.model.backbone.type == 'MobileNetV2'


def test_errors_before_any_work(checkpoint, options, tmp_path, monkeypatch):
    monkeypatch.setattr(make, 'trained_model', None)  # never reached
    (tmp_path / 'file').write_text('')
    (tmp_path / 'named/ImageSets/Segmentation').mkdir(parents=True)
    (tmp_path / 'named/ImageSets/Segmentation/val.txt').write_text('nowhere\n')
    empty, named = (dict(options=dict(data_root=str(tmp_path / of))) for of in ('empty', 'named'))
    out = tmp_path / 'out'
    for arguments, more, message in (
        (('gone.py', checkpoint, out), {}, "there is no config 'gone.py'"),
        ((RECIPE, 'gone.pth', out), {}, "there is no file 'gone.pth'"),
        ((RECIPE, checkpoint, out, 'gone.jpg'), {}, "there is no file 'gone.jpg'"),
        ((RECIPE, checkpoint, out), empty, 'no validation data to prove the export with'),
        (
            (RECIPE, checkpoint, out),
            named,
            "first validation image is not there: '.*nowhere.jpg'; set --image PATH",
        ),
        ((RECIPE, checkpoint, tmp_path / 'file/out'), {}, "OUT .*: '.*file' is a file, not a fo"),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            export_student(*arguments, **more)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: name == 'onnx' or None)
    message = 'ONNX needs onnxruntime and onnxscript, not installed here: pip install onnxrunt'
    with pytest.raises(ValueError, match=message):
        export_student(RECIPE, checkpoint, out, onnx=True)
    assert not out.exists()


def test_no_classes_anywhere(checkpoint, options, tmp_path):
    cfg = Config.fromfile(RECIPE)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pop('metainfo')
    cfg.dump(tmp_path / 'nameless.py')
    message = 'neither the checkpoint .* names the classes: set met'
    with pytest.raises(ValueError, match=message):
        export_student(tmp_path / 'nameless.py', checkpoint, tmp_path / 'out', options=options)
