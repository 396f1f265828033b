"""The data loader of a run gives two processes the batches of one, also after resuming.

By KD: TaT's softmax, nearly one-hot, would make much of the rounding (test_gradients.py has it in
float64).
"""

from pathlib import Path

import on_cpu
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.datasets.toy_scenes import write_toy_voc

# Nothing random within a process; plain descent, as Adam's first steps have the size of the
# learning rate whatever a gradient's.
CONFIG = """
_base_ = '{base}'
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=4, val_interval=100)
model = dict(
    teacher_ckpt='{teacher}',
    architecture=dict(decode_head=dict(dropout_ratio=0)))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9))
default_hooks = dict(checkpoint=dict(interval=2))
"""


@pytest.mark.slow
def test_two_processes_and_a_change_of_their_number(
    repo, save_weights, two_processes, tmp_path, default_scope
):
    base, data = repo / 'configs/small/demo/kd_student.py', tmp_path / 'data'
    write_toy_voc(data, num_train=18, num_val=2, size=(64, 64))
    path = tmp_path / 'recipe.py'
    teacher = save_weights(Config.fromfile(base).model.teacher)
    path.write_text(CONFIG.format(base=base, teacher=teacher))

    def last(folder: Path) -> dict:
        return torch.load(folder / 'iter_4.pth', weights_only=False)['state_dict']

    options = [f'data_root={data}', 'train_dataloader.batch_size=2']
    settings = ['--launcher', 'pytorch', '--cfg-options', *options, *on_cpu.OPTIONS]

    cfg = Config.fromfile(path)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(data)
    cfg.work_dir, cfg.log_level = str(tmp_path / 'one'), 'ERROR'
    Runner.from_cfg(cfg).train()

    train = repo / 'tools/train.py', path
    two_processes(
        *(*train, '--work-dir', tmp_path / 'two', *settings),
        '--then',
        *(*train, '--work-dir', tmp_path / 'changed', '--resume', tmp_path / 'one/iter_2.pth'),
        *settings,
        cwd=tmp_path,
    )
    one, two, changed = (last(tmp_path / name) for name in ('one', 'two', 'changed'))
    middle = torch.load(tmp_path / 'one/iter_2.pth', weights_only=False)['state_dict']
    for key, value in one.items():
        for other in (two, changed):
            torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-5, msg=key)
    key = 'architecture.decode_head.conv_seg.weight'
    assert (one[key] - middle[key]).abs().max() > 1e-4  # a hundred times what is allowed
