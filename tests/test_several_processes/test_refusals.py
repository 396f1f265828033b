"""What a run in several processes cannot be is said before anything is built."""

import re
from types import SimpleNamespace

import pytest
from mmengine import Config
from mmengine.logging import MMLogger
from torch import nn

from mmrazor_tat.engine.hooks import RecipeCheckHook, recipe_check_hook
from mmrazor_tat.utils import environment


def test_no_launcher_without_an_accelerator(monkeypatch):
    cfg = Config(dict(launcher='slurm'))
    monkeypatch.setattr(environment, 'get_device', lambda: 'cpu')
    message = "^launcher 'slurm': mmengine starts several processes on GPUs .* finds none"
    with pytest.raises(ValueError, match=message):
        environment.check_processes(cfg)
    environment.check_processes(Config(dict(launcher='none')))
    monkeypatch.setattr(environment, 'get_device', lambda: 'cuda')
    for name in ('SLURM_PROCID', 'SLURM_NTASKS'):
        monkeypatch.setenv(name, '0')
    environment.check_processes(cfg)


FSDP, DDP = 'MMFullyShardedDataParallel', 'MMDistributedDataParallel'


def test_fsdp_and_strategies_are_refused():
    message = f"^model_wrapper_cfg.type '{FSDP}': .* not supported: .*leave model_wrapper_cfg out$"
    with pytest.raises(ValueError, match=message):
        environment.check_processes(Config(dict(model_wrapper_cfg=dict(type=FSDP))))
    with pytest.raises(ValueError, match="^strategy 'FSDPStrategy': .*Leave strategy out"):
        environment.check_processes(Config(dict(strategy=dict(type='FSDPStrategy'))))
    wrapper = dict(type=DDP, find_unused_parameters=True)
    environment.check_processes(Config(dict(model_wrapper_cfg=wrapper)))


def test_fsdp_of_another_tool_is_refused_by_the_hook():
    class MMFullyShardedDataParallel(nn.Module):
        pass

    with pytest.raises(ValueError, match='^FSDP .* is not supported: .* leave it out$'):
        RecipeCheckHook().before_run(SimpleNamespace(model=MMFullyShardedDataParallel()))
    RecipeCheckHook().before_run(SimpleNamespace(model=nn.Module()))


@pytest.mark.parametrize('count, says', [(1, False), (2, True)])
def test_norms_that_are_not_synchronised_are_named(count, says, monkeypatch, caplog):
    model = nn.Module()
    model.student = nn.Sequential(nn.SyncBatchNorm(2))
    model.distiller = nn.Sequential(nn.BatchNorm2d(2), nn.InstanceNorm2d(2), nn.SyncBatchNorm(2))
    monkeypatch.setattr(recipe_check_hook, 'get_world_size', lambda: count)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level('INFO')
    try:
        recipe_check_hook._name_unsynchronised_norms(SimpleNamespace(model=model, logger=logger))
    finally:
        logger.removeHandler(caplog.handler)
    found = re.findall(r'batch norms of the distiller \((.*?)\) take', caplog.text)
    assert found == (['0'] if says else [])
    model.student = nn.Sequential(nn.BatchNorm2d(2))  # then all are alike
    assert environment.unsynchronised_norms(model) == []
    assert environment.unsynchronised_norms(nn.BatchNorm2d(2)) == []
