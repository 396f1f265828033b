"""benchmarks/: what the lean operator and the step are measured by; no time is asserted."""

import copy
import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch
from measure import time_in_turns
from mmengine import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, save_checkpoint

from mmrazor_tat.datasets.toy_cifar import write_toy_cifar
from mmrazor_tat.models import HierarchicalTaTLoss
from mmrazor_tat.utils.config_settings import set_crop_size, set_data_root


def script(repo, name):
    spec = importlib.util.spec_from_file_location(f'{name}_script', repo / f'benchmarks/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('scale', [0.5, 'auto'])
@pytest.mark.parametrize('softmax_over', ['student', 'teacher'])
@pytest.mark.parametrize('name', ['released', 'batched', 'sdpa'])
def test_a_baseline_computes_the_same_loss_and_gradients(repo, name, softmax_over, scale):
    """What is measured against must be right, and must not be ours in disguise."""
    torch.manual_seed(0)
    views = [
        dict(type='patch', grid=(4, 3), groups=6, weight=0.3),
        dict(type='anchor', kernel=2, weight=0.5),
        dict(type='whole', weight=0.2),
    ]
    loss = HierarchicalTaTLoss(4, 6, views, softmax_over=softmax_over, scale=scale, lean=True)
    loss = loss.double()
    for parameter in loss.parameters():
        torch.nn.init.normal_(parameter)
    s = torch.randn(3, 4, 13, 10, dtype=torch.float64, requires_grad=True)
    t = torch.randn(3, 6, 13, 10, dtype=torch.float64)
    inputs = [s, *loss.parameters()]
    found, expected = script(repo, 'lean_operator').METHODS[name](loss, s, t), loss(s, t)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(found, inputs, materialize_grads=True),
        torch.autograd.grad(expected, inputs),
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)
    assert loss.lean is True


@pytest.mark.slow
def test_the_scripts_measure(repo, command, tmp_path):
    """The stored softmax takes the memory that it must: 48**4 logits of float32, more than once."""
    size = ['--side', 48, '--batch', 1, '--repeats', 1, '--methods', 'batched', 'ours']
    out = tmp_path / 'here/operator'
    size += ['--scales', 'auto', '--out', out]
    command(repo / 'benchmarks/lean_operator.py', '--cases', 'whole-32', *size)
    case = json.loads(out.with_suffix('.json').read_text())['cases']['whole-32, scale auto']
    assert case['batched']['peak_bytes'] > 2 * 48**4 * 4 and case['ours']['over_ours'] == 1
    assert out.with_suffix('.md').read_text().count('| whole-32, scale auto |') == 2
    size = ['--crop', 256, '--repeats', 1, '--out', tmp_path / 'step']
    command(repo / 'benchmarks/step.py', repo / 'configs/small/demo/tat_student.py', *size)
    (found,) = json.loads((tmp_path / 'step.json').read_text())['recipes'].values()
    assert found['over_floor'].keys() == {'mmrazor', 'folded'}
    short = ['--iterations', 40, '--limit', 500]  # the resident memory is still warming up
    assert 'live tensors' in command(repo / 'benchmarks/memory.py', *short)


@pytest.mark.slow
def test_what_wants_a_gpu_is_rehearsed(repo, tmp_path):
    """Both halves; what is done is not done again."""
    script = ['bash', 'benchmarks/gpu.sh', '--device', 'cpu', '--small', '--out', tmp_path]
    environment = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(repo)}
    options = dict(cwd=repo, env=environment, capture_output=True, text=True)
    for half, done in (('1', ['tests', 'operator_r18']), ('2', ['step_float32'])):
        words = [*map(str, script), '--half', half]
        run = subprocess.run(words, **options)
        assert run.returncode == 0, run.stdout
        assert all((tmp_path / f'{name}.done').exists() for name in done)
    page = (tmp_path / 'gpu.md').read_text()
    if not torch.cuda.is_available():
        run = subprocess.run(script[:2], **options)
        assert run.returncode == 2 and 'torch finds no card' in run.stderr
    assert 'r18, scale 1.0 | ours' in page and 'as_it_is' in page and ' passed' in page
    assert (
        '=='
        not in subprocess.run(
            words, cwd=repo, env=environment, capture_output=True, text=True
        ).stdout
    )


@pytest.mark.slow
def test_where_an_iteration_goes(repo, command, toy_voc, tmp_path):
    words = ['--iterations', 3, '--warmup', 1, '--out', tmp_path / 'iteration']
    words += ['--cfg-options', f'data_root={toy_voc}']
    recipe = repo / 'configs/small/demo/tat_student.py'
    command(
        repo / 'benchmarks/iteration.py', recipe, *words, '--cfg-options', f'data_root={toy_voc}'
    )
    seconds = json.loads((tmp_path / 'iteration.json').read_text())['seconds']
    assert {'teacher', 'backward', 'hooks, ours', 'all else'} <= seconds.keys()
    assert all(of >= 0 for of in seconds.values())


def test_runs_take_turns_and_the_first_round_is_not_counted():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in 'ab'}
    seconds = time_in_turns(runs, repeats=3)
    assert ''.join(order) == 'ab' + 'ba' + 'ab' + 'ba'
    assert [len(times) for times in seconds.values()] == [3, 3]


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='resident memory: Linux')
def test_peak_memory_of_a_known_allocation(repo):
    code = (
        'import torch\n'
        'from measure import MIB, peak_memory\n'
        'def run():\n'
        '    x = torch.ones(64 * MIB // 4)\n'
        '    del x\n'
        '    torch.ones(16 * MIB // 4)\n'
        'print(peak_memory(run) / MIB)\n'
    )
    start = [sys.executable, '-c', code]
    found = subprocess.check_output(start, text=True, cwd=repo / 'benchmarks')
    assert float(found) == pytest.approx(64, abs=4)


def live_tensors(repo, cfg: Config, work_dir) -> list[int]:
    """After 10, 20 and 30 iterations."""
    cfg.work_dir, cfg.log_level = str(work_dir), 'ERROR'
    cfg.experiment_name = cfg.visualizer.name = f'memory_{work_dir.name}'
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best=None)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.gradient_share = dict(type='mmrazor.GradientShareHook', interval=7)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=30, val_interval=1000)
    file = str(work_dir / 'teacher.pth')
    save_checkpoint(dict(state_dict=MODELS.build(cfg.model.teacher).state_dict()), file)
    cfg.model.teacher_ckpt = file
    runner, hook = Runner.from_cfg(cfg), script(repo, 'memory').MemoryHook(10)
    runner.register_hook(hook)
    runner.train()
    return [tensors for _, _, tensors in hook.samples]


@pytest.mark.parametrize('name', ['tat_student', 'review-kd_student'])
def test_no_tensor_stays_alive(name, repo, toy_voc, tmp_path):
    cfg = Config.fromfile(repo / f'configs/small/demo/{name}.py')
    set_data_root(cfg, toy_voc)
    set_crop_size(cfg, (32, 32))
    cfg.model.teacher = copy.deepcopy(cfg.model.architecture)
    if name.startswith('tat'):
        cfg.model.distiller.distill_losses.loss_tat.lean = True
    else:
        cfg.model.distiller.connectors.fusion.mid_channel = 16
    first, *others = live_tensors(repo, cfg, tmp_path)
    assert first > 100 and others == [first, first]


@pytest.mark.mmpretrain
def test_no_tensor_of_a_classifier_stays_alive(repo, tmp_path):
    """CRD: a memory, which is written anew in every iteration."""
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(repo / 'configs/small/demo_cifar/crd_student.py')
    set_data_root(cfg, write_toy_cifar(tmp_path / 'data', num_train=16, num_test=2))
    cfg.model.distiller.distill_losses.loss_crd.update(num_samples=16, num_negatives=8)
    first, *others = live_tensors(repo, cfg, tmp_path)
    assert first > 100 and others == [first, first]
