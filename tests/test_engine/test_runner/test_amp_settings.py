"""--amp: what it sets."""

import pytest
from mmengine import Config

from mmrazor_tat.engine.runner.optimizer import use_amp


def test_what_it_sets():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD'))))
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
