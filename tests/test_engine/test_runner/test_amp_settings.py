"""--amp: what it sets, and the one line where it cannot run."""

import pytest
import torch
from mmengine import Config

from mmrazor_tat.engine.runner import mixed_precision
from mmrazor_tat.engine.runner.mixed_precision import check_amp, use_amp


def config() -> Config:
    return Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD'))))


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: False)


def test_what_it_sets():
    cfg = config()
    use_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic' and 'dtype' not in cfg.optim_wrapper
    cfg.optim_wrapper.loss_scale = 512.0
    use_amp(cfg)  # a config that has it already keeps what it says
    assert cfg.optim_wrapper.loss_scale == 512.0


@pytest.mark.parametrize('kind', ['DeepSpeedOptimWrapper', None])
def test_another_wrapper(kind):
    cfg = Config(dict(optim_wrapper=dict(type=kind) if kind else None))
    with pytest.raises(ValueError, match="--amp turns an optim_wrapper of type 'OptimWrapper'"):
        use_amp(cfg)


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'is_cuda_available', lambda: False)
    check_amp(config())  # no mixed precision, nothing to check
    check_amp(Config(dict(model=dict())))
    cfg = config()
    use_amp(cfg)
    with pytest.raises(ValueError, match=r'mixed precision \(--amp, .*\) needs a GPU, and torch'):
        check_amp(cfg)
    cfg.optim_wrapper.type = 'mmengine.AmpOptimWrapper'
    with pytest.raises(ValueError, match='needs a GPU'):
        check_amp(cfg)


@pytest.mark.parametrize('scale', ['dynamic', 512.0, dict(init_scale=512.0)])
def test_loss_scales_that_fit(gpu, scale):
    cfg = config()
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale=scale)
    check_amp(cfg)


@pytest.mark.parametrize(
    'scale, text', [(512, 'got 512: write 512.0'), (0.0, 'got 0.0$'), ('static', "got 'static'$")]
)
def test_loss_scales_that_do_not(gpu, scale, text):
    cfg = config()
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale=scale)
    with pytest.raises(ValueError, match=f"loss_scale must be 'dynamic', a float.*{text}"):
        check_amp(cfg)


def test_dtypes(gpu):
    cfg = config()
    cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='float16')
    check_amp(cfg)
    for dtype, text in (
        ('half', "must be 'float16' or 'bfloat16', got 'half'"),
        ('bfloat16', 'this GPU does not have it'),
    ):
        cfg.optim_wrapper.dtype = dtype
        with pytest.raises(ValueError, match=text):
            check_amp(cfg)
