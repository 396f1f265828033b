"""mmengine's AmpOptimWrapper on our recipes: the loss scale, skipped steps, resuming.

On a GPU where there is one; on a CPU, which mmengine refuses, its check of the device is stubbed,
and torch's GradScaler for a CPU takes the place of the one for CUDA.
"""

import copy
import functools
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.hooks import Hook
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner, amp

from mmrazor_tat.engine.runner.optimizer import use_amp
from mmrazor_tat.utils.config_settings import set_crop_size
from mmrazor_tat.utils.networks import initial_weights

REPO = Path(__file__).parents[2]


@pytest.fixture
def amp_on_a_cpu(monkeypatch):
    if torch.cuda.is_available():
        return
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('torch < 2.3 has no GradScaler for a CPU')
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    scaler = functools.partial(torch.amp.GradScaler, 'cpu')
    monkeypatch.setattr(amp_optimizer_wrapper, 'GradScaler', scaler)
    # mmengine's autocast on a CPU knows bfloat16 alone; on a GPU float16 is the default.
    monkeypatch.setattr(
        amp, 'autocast', lambda dtype=None: torch.autocast('cpu', dtype=dtype or torch.float16)
    )


@pytest.fixture(scope='module')
def teacher(tmp_path_factory) -> str:
    cfg = Config.fromfile(REPO / 'configs/small/demo/student.py')
    return initial_weights(cfg, tmp_path_factory.mktemp('teacher') / 'teacher.pth', seed=0)


class Watch(Hook):
    """Of every iteration: scale before and after, whether a weight changed, loss, dtypes."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.steps, self.dtypes = [], set()

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.weights = [p.detach().clone() for p in runner.model.student.parameters()]
        self.scale = runner.optim_wrapper.loss_scaler.get_scale()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        changed = any(
            not torch.equal(a, b) for a, b in zip(self.weights, runner.model.student.parameters())
        )
        scale = runner.optim_wrapper.loss_scaler.get_scale()
        self.steps.append((self.scale, scale, changed, outputs['loss'].item()))
        for from_student in (True, False):
            record = runner.model.distiller.raw_record('feature', from_student)
            self.dtypes.add((from_student, record.dtype))


def config(name: str, toy_voc, teacher: str, work_dir: Path, iterations: int) -> Config:
    cfg = Config.fromfile(REPO / f'configs/small/demo/{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(toy_voc)
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    # Float16 is slow on a CPU: a map of 8 x 8, and a teacher as narrow as the student.
    set_crop_size(cfg, (32, 32))
    cfg.model.teacher = copy.deepcopy(cfg.model.architecture)
    cfg.train_cfg.update(max_iters=iterations, val_interval=1000)
    cfg.model.teacher_ckpt = teacher
    cfg.work_dir, cfg.log_level = str(work_dir), 'ERROR'
    cfg.visualizer.name = cfg.experiment_name = f'{name}_{work_dir.name}_{iterations}'
    cfg.default_hooks.checkpoint.interval = iterations
    use_amp(cfg)
    return cfg


def train(cfg: Config) -> tuple[Runner, Watch]:
    runner, watch = Runner.from_cfg(cfg), Watch()
    runner.register_hook(watch)
    runner.train()
    return runner, watch


def assert_finite(model: torch.nn.Module) -> None:
    for name, value in model.state_dict().items():
        assert not value.is_floating_point() or value.isfinite().all(), name


def test_overflow_skips_the_step_and_the_scale_is_resumed(amp_on_a_cpu, toy_voc, teacher, tmp_path):
    cfg = config('tat_student', toy_voc, teacher, tmp_path, iterations=4)
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    # So large that the first gradients are infinite in float16, whatever the loss.
    scales = dict(init_scale=2.0**30, backoff_factor=2.0**-20, growth_interval=2)
    cfg.optim_wrapper.loss_scale = scales
    runner, watch = train(cfg)
    scale = [after for _, after, *_ in watch.steps]
    assert scale == [1024, 1024, 2048, 2048]
    assert [changed for *_, changed, _ in watch.steps] == [False, True, True, True]
    assert all(0 < loss < 1e4 for *_, loss in watch.steps)  # itself it is finite all along
    assert_finite(runner.model)  # weights, batch norms' statistics, the projections
    # Student and teacher both run under autocast.
    assert watch.dtypes == {(True, torch.float16), (False, torch.float16)}

    state = torch.load(tmp_path / 'iter_4.pth', weights_only=False)['optimizer']['loss_scaler']
    assert (state['scale'], state['_growth_tracker']) == (2048, 1)
    again = config('tat_student', toy_voc, teacher, tmp_path, iterations=5)
    again.optim_wrapper.loss_scale, again.resume = scales, True
    _, watch = train(again)
    assert [(before, after) for before, after, *_ in watch.steps] == [(2048, 4096)]


@pytest.mark.parametrize(
    'name, dtype', [('review-kd_student', torch.float16), ('tat_student', torch.bfloat16)]
)
def test_a_step(name, dtype, amp_on_a_cpu, toy_voc, teacher, tmp_path):
    """Also where the connectors are convolutions; bfloat16 needs no scale."""
    cfg = config(name, toy_voc, teacher, tmp_path, iterations=1)
    cfg.optim_wrapper.update(dtype=str(dtype)[6:], loss_scale=64.0)
    runner, watch = train(cfg)
    assert watch.dtypes == {(True, dtype), (False, dtype)}
    assert all(changed and before == after for before, after, changed, _ in watch.steps)
    assert_finite(runner.model)


def test_the_balance_is_of_the_unscaled_gradients(amp_on_a_cpu, toy_voc, teacher, tmp_path):
    """A loss scale does not change the shares, nor does accumulation."""
    factors = {}
    for scale, counts in ((2.0**4, 1), (2.0**12, 1), (2.0**4, 2)):
        cfg = config('tat_student', toy_voc, teacher, tmp_path / f'{scale}_{counts}', iterations=2)
        cfg.optim_wrapper.update(loss_scale=dict(init_scale=scale), accumulative_counts=counts)
        cfg.default_hooks.balance = dict(
            type='mmrazor.GradientBalanceHook', target=0.3, interval=1, warmup=1
        )
        cfg.randomness = dict(seed=0)
        runner, _ = train(cfg)
        factors[scale, counts] = runner.model.distiller.balance_factors['loss_tat']
    first = factors[2.0**4, 1]
    assert first != 1 and list(factors.values()) == pytest.approx([first] * 3, rel=0.02)
