"""A distillation that begins from a student that is trained already."""

import pytest
import torch
from mmengine.runner import CheckpointLoader


def weights_of(path) -> dict[str, torch.Tensor]:
    return CheckpointLoader.load_checkpoint(str(path), 'cpu')['state_dict']


STILL = ['train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'optim_wrapper.optimizer.lr=0']
STILL += ['default_hooks.checkpoint.interval=1']


@pytest.fixture
def trained(pair, call, tmp_path):
    """(files of a pair, checkpoint of the plain student)."""
    files = pair()
    ended = call('train', files.student, '--work-dir', tmp_path / 'plain')
    assert ended.code is None, ended.line
    return files, tmp_path / 'plain/iter_2.pth'


def test_load_from_is_the_student_s(trained, call, tmp_path):
    files, plain = trained
    ended = call(
        *('train', files.recipe, '--work-dir', tmp_path / 'run'),
        *('--cfg-options', f'load_from={plain}', *STILL),
    )
    assert ended.code is None, ended.line
    before, after = weights_of(plain), weights_of(tmp_path / 'run/iter_1.pth')
    said = f"holds a plain network: {len(before)} of its weights are the student's (architecture)"
    assert said in ended.printed and 'do not match exactly' not in ended.printed
    kept = [key for key in before if key.endswith('weight')]
    assert len(kept) > 30
    assert all(torch.equal(after[f'architecture.{key}'], before[key]) for key in kept)


def test_what_cannot_be_loaded_says_what_can(trained, call, tmp_path):
    files, plain = trained
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run', '--resume', plain)
    assert 'holds a plain network' in ended.line and 'load_from=PATH' in ended.line
    ended = call('test', files.recipe, plain, '--work-dir', tmp_path / 'test')
    assert "evaluate it with the student's own config" in ended.line
    backbone = {
        key.removeprefix('backbone.'): value
        for key, value in weights_of(plain).items()
        if key.startswith('backbone.')
    }
    torch.save(backbone, tmp_path / 'backbone.pth')
    for config, part in ((files.recipe, 'architecture.backbone'), (files.student, 'backbone')):
        ended = call(
            *('train', config, '--work-dir', tmp_path / 'run'),
            *('--cfg-options', f'load_from={tmp_path / "backbone.pth"}'),
        )
        assert f'; they are of its {part}: --cfg-options pretrained=PATH' in ended.line
    # The option that is named does it.
    ended = call(
        *('train', files.recipe, '--work-dir', tmp_path / 'run'),
        *('--cfg-options', f'pretrained={tmp_path / "backbone.pth"}', *STILL),
    )
    assert ended.code is None, ended.line
    after = weights_of(tmp_path / 'run/iter_1.pth')
    assert torch.equal(after['architecture.backbone.stem.0.weight'], backbone['stem.0.weight'])


def test_a_plain_network_takes_the_student_of_a_distillation(pair, call, tmp_path):
    files = pair()
    assert call('train', files.recipe, '--work-dir', tmp_path / 'run').code is None
    distilled = tmp_path / 'run/iter_2.pth'
    ended = call(
        *('train', files.student, '--work-dir', tmp_path / 'plain', '--cfg-options', *STILL),
        f'load_from={distilled}',
    )
    assert 'the student of a distillation checkpoint is loaded' in ended.printed
    before, after = weights_of(distilled), weights_of(tmp_path / 'plain/iter_1.pth')
    kept = [key for key in after if key.endswith('weight')]
    assert len(kept) > 30
    assert all(torch.equal(before[f'architecture.{key}'], after[key]) for key in kept)


def test_a_head_for_other_classes_stays_as_it_was_drawn(trained, call, tmp_path):
    """As mmseg fine-tunes: what fits is loaded."""
    files, plain = trained
    content = CheckpointLoader.load_checkpoint(str(plain), 'cpu')
    for name in ('decode_head', 'auxiliary_head'):
        content['state_dict'][f'{name}.conv_seg.weight'] = torch.ones(19, 16, 1, 1)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'other.pth')
    ended = call(
        *('train', files.recipe, '--work-dir', tmp_path / 'run'),
        *('--cfg-options', f'load_from={tmp_path / "other.pth"}'),
    )
    assert ended.code is None, ended.line
    after = weights_of(tmp_path / 'run/iter_2.pth')
    assert after['architecture.decode_head.conv_seg.weight'].shape == (2, 16, 1, 1)
