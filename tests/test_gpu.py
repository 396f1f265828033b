"""What a card alone can show (benchmarks/gpu.sh); MMRAZOR_TAT_DEVICE=cpu rehearses it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmrazor_tat.models import HierarchicalTaTLoss

REPO = Path(__file__).parents[1]
DEVICE = os.environ.get('MMRAZOR_TAT_DEVICE', 'cuda' if torch.cuda.is_available() else '')
IS_CARD = DEVICE == 'cuda'
pytestmark = pytest.mark.skipif(not DEVICE, reason='no GPU, and no MMRAZOR_TAT_DEVICE')
card = pytest.mark.skipif(not IS_CARD, reason='of a card alone')
VIEWS = [
    dict(type='patch', grid=(4, 4), groups=4, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.4),
    dict(type='whole', weight=0.2),
]
# Of the gradient, in its norm: the rounding of the map's own dtype.
SCALE = 2.0**12  # of the loss, as float16 wants it
TOLERANCES = dict(float32=1e-4, bfloat16=1e-2, float16=2e-3)


def loss_and_maps(dtype: str, channels=(48, 64), side: int = 32, **settings):
    torch.manual_seed(0)
    loss = HierarchicalTaTLoss(*channels, VIEWS, lean=True, **settings)
    s, t = (torch.randn(3, c, side, side).to(getattr(torch, dtype)) for c in channels)
    return loss, s, t


def run(loss, s, t):
    s = s.detach().requires_grad_()
    value = loss(s, t)
    (value * SCALE).backward()
    return value.item(), s.grad, [p.grad for p in loss.parameters()]


def distance(a, b):
    return ((a.double().cpu() - b.double().cpu()).norm() / b.double().norm()).item()


@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('softmax_over', ['teacher', 'student'])
@pytest.mark.parametrize('scale', ['auto', 1.0])
def test_the_operator_is_that_in_float64(dtype, softmax_over, scale):
    loss, s, t = loss_and_maps(dtype, softmax_over=softmax_over, scale=scale)
    value, ds, parameters = run(loss.to(DEVICE), s.to(DEVICE), t.to(DEVICE))
    loss.zero_grad()
    loss.lean = False
    expected, ds64, parameters64 = run(loss.double().cpu(), s.double(), t.double())
    assert value == pytest.approx(expected, rel=1e-4)
    assert ds.dtype == s.dtype and distance(ds, ds64) < TOLERANCES[dtype]
    for ours, theirs in zip(parameters, parameters64):
        if theirs.norm() > 1e-9:  # theta's bias has none
            assert distance(ours, theirs) < 1e-3


def test_a_compiled_loss():
    loss, s, t = loss_and_maps('float32')
    loss.to(DEVICE)
    expected = run(loss, s.to(DEVICE), t.to(DEVICE))
    loss.zero_grad()
    value, ds, _ = run(torch.compile(loss), s.to(DEVICE), t.to(DEVICE))
    assert value == pytest.approx(expected[0], rel=1e-5) and distance(ds, expected[1]) < 1e-5


@pytest.mark.parametrize(
    'options',
    [
        dict(teacher_channels_last=True),
        dict(teacher_dtype='bfloat16'),
        dict(teacher_dtype='float16'),
        dict(teacher_compile=True),
    ],
    ids=lambda options: '-'.join(map(str, *options.items())),
)
def test_a_teacher_that_is_run_otherwise_teaches_the_same(options, distillation, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    maps = []
    for number, of in enumerate((dict(fold_teacher=False), options)):
        runner = distillation(2, f'run_{number}', **{f'model.{k}': v for k, v in of.items()})
        runner.train()
        maps.append(runner.model.distiller.raw_record('feature', False))
    assert maps[1].dtype == torch.float32
    assert distance(maps[1], maps[0]) < (3e-2 if 'teacher_dtype' in options else 1e-4)


@card
def test_memory_does_not_grow_with_the_square_of_the_map():
    """128 x 128: the attention alone would be a gigabyte for each image."""
    loss, s, t = (x.to(DEVICE) for x in loss_and_maps('float32', (256, 256), 128))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(loss, s, t)
    assert torch.cuda.max_memory_allocated() - before < 2**29


def test_a_resumed_run_is_bit_for_bit_the_same(distillation):
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        whole = distillation(4, 'whole')
        whole.train()
        distillation(2, 'halves').train()
        again = distillation(4, 'halves', resume=True)
        again.train()
    finally:
        torch.use_deterministic_algorithms(deterministic)
    assert next(whole.model.parameters()).device.type == DEVICE
    states = (runner.model.state_dict() for runner in (whole, again))
    assert all(map(torch.equal, *(state.values() for state in states)))


@card
def test_sync_bn_and_nccl(toy_voc, save_weights, tmp_path):
    """As ``torchrun`` starts it: NCCL, DDP, SyncBN (of one process, for which torch takes the plain
    kernel)."""
    from mmengine import Config

    import mmrazor_tat

    config = mmrazor_tat.config_path('small/demo/tat_student.py')
    teacher = save_weights(Config.fromfile(config).model.teacher)
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=1']
    command += [str(REPO / 'tools/train.py'), config, '--launcher', 'pytorch']
    command += ['--work-dir', str(tmp_path), '--cfg-options', f'data_root={toy_voc}']
    command += [
        f'model.teacher_ckpt={teacher}',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
    ]
    for part in ('backbone', 'decode_head'):
        command.append(f'model.architecture.{part}.norm_cfg.type=SyncBN')
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / 'iter_2.pth').exists()
