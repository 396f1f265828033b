"""Images of any number of channels, from the recipe to the exported student."""

import json

import pytest

MODES = {1: ('L', 'grayscale'), 4: ('RGBA', 'unchanged')}


@pytest.fixture(params=[1, 4])
def channels(request) -> int:
    return request.param


@pytest.fixture
def change(channels, write_data, tmp_path):
    """What makes a config one of such images."""
    mode, color_type = MODES[channels]
    root = write_data(tmp_path / mode, mode=mode)

    def change(cfg):
        cfg.model.data_preprocessor.update(
            mean=[100.0] * channels, std=[50.0] * channels, bgr_to_rgb=False
        )
        cfg.model.backbone.in_channels = channels
        for name in ('train', 'val', 'test'):
            dataset = cfg[f'{name}_dataloader'].dataset
            dataset.data_root = str(root)
            dataset.pipeline[0].color_type = color_type

    return change


def test_from_recipe_to_export(pair, call, change, channels, tmp_path):
    files = pair(change)
    shape = f'input 1 x {channels} x 48 x 48'
    assert shape in call('inspect_features', files.student).printed
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    checkpoint = tmp_path / 'run/iter_2.pth'
    ended = call('test', files.recipe, checkpoint, '--work-dir', tmp_path / 'run')
    assert ended.code is None and 'mIoU' in ended.line

    onnx = ['--onnx', '--onnx-size', 64, 64] if channels == 4 else []
    ended = call('export_student', files.recipe, checkpoint, tmp_path / 'out', *onnx)
    assert ended.code is None, ended.line
    report = json.loads((tmp_path / 'out/export.json').read_text())
    assert not onnx or report['onnx']['input'] == ['batch', 4, 64, 64]
    assert report['proof']['inputs'][1] == channels
    picture = tmp_path / 'attention.png'
    image = tmp_path / MODES[channels][0] / 'img/0.png'
    ended = call('visualize_attention', files.recipe, checkpoint, image, '--out', picture)
    assert ended.code is None and picture.is_file(), ended.line
    ended = call(
        *('compare_segmentation', files.recipe, checkpoint, '--out', tmp_path / 'panels.png')
    )
    assert ended.code is None and (tmp_path / 'panels.png').is_file(), ended.line


def test_a_teacher_of_other_channels_is_named(make, call, change, channels, tmp_path):
    student = make('student', change=change)
    ended = call('new_recipe', make('teacher'), student, '--out', tmp_path / 'r.py')
    assert (
        f"it takes images of 3 channels, the student's have {channels}, and both see the same"
        in ended.line
    )
    assert 'the teacher (EncoderDecoder)' in ended.line and "(in 'backbone.stem.0')" in ended.line
