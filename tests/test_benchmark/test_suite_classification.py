"""Suites of classifiers: what they ask for beside those of segmentors."""

import importlib.util

import pytest
import torch
from mmengine import Config
from mmengine.config import config as config_module
from mmengine.registry import MODELS
from torch import nn

from mmrazor_tat import config_path
from mmrazor_tat.benchmark.suites import Plan, SuiteError, load_suite
from mmrazor_tat.benchmark.suites.networks import network_shapes
from mmrazor_tat.benchmark.suites.plan import read_config
from mmrazor_tat.utils.configs import read_config_file
from mmrazor_tat.utils.errors import UserError

SUITE = """
title, metric, seeds, baseline = 'Demo', 'accuracy/top1', (0, 1), 'student'
toy_data = dict(layout='cifar', num_train=40, num_test=20)
runs = dict(
    teacher=dict(config='small/demo_cifar/teacher.py', seeds=(0,), baseline=None),
    student=dict(config='small/demo_cifar/student.py'),
    kd=dict(config='small/demo_cifar/kd_student.py', teacher='teacher', start='student'))
"""


@MODELS.register_module()
class ReadsATensor(nn.Linear):
    """Cannot be built on the meta device."""

    built_on: list = []

    def __init__(self, width: int) -> None:
        super().__init__(width, int(torch.linspace(0, 3, 4)[-1].item()))
        self.built_on.append(self.weight.device.type)


@pytest.fixture
def plan(tmp_path):
    """A function that writes a suite, a text, and plans it."""

    def plan(text: str, seeds=None, **options) -> Plan:
        path = tmp_path / 'small.py'
        path.write_text(text)
        return Plan(load_suite(str(path), seeds), tmp_path / 'out', **options)

    return plan


class TestShapes:
    def test_on_the_cpu_where_meta_does_not_do(self):
        ReadsATensor.built_on.clear()
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        shapes = network_shapes(dict(type='ReadsATensor', width=2), 'mmengine')
        assert shapes.of == dict(weight=(3, 2), bias=(3,)) and shapes.parameters == 9
        assert ReadsATensor.built_on == ['cpu']
        assert torch.equal(torch.rand(1), expected)  # as if nothing had been drawn

    def test_of_what_cannot_be_built(self):
        assert network_shapes(dict(type='NoSuchNetwork'), 'mmengine') is None

    def test_they_are_compared_and_built_once(self, plan, tmp_path):
        for name, width in (('a', 2), ('b', 2), ('c', 4)):
            (tmp_path / f'{name}.py').write_text(
                f"model = dict(type='ReadsATensor', width={width})\ntrain_cfg = dict(max_iters=3)\n"
            )
        text = (
            "title, metric, seeds = 'A', 'm', (0,)\n"
            "runs = dict(a=dict(config='a.py'), b=dict(config='b.py', start='a'))\n"
        )
        ReadsATensor.built_on.clear()
        assert [job.parameters for job in plan(text).jobs()] == [9, 9]
        assert ReadsATensor.built_on == ['cpu']
        with pytest.raises(SuiteError, match=r'weight is \(3, 4\) here and \(3, 2\) there'):
            plan(text.replace('b.py', 'c.py')).jobs()


class TestWithoutMmpretrain:
    """Also where it is installed: mmengine then finds none."""

    @pytest.fixture(autouse=True)
    def _hide(self, monkeypatch):
        installed, find = config_module.is_installed, importlib.util.find_spec
        monkeypatch.setattr(
            config_module, 'is_installed', lambda name: 'mmpretrain' not in name and installed(name)
        )
        monkeypatch.setattr(
            'importlib.util.find_spec',
            lambda name, *more: None if name == 'mmpretrain' else find(name, *more),
        )
        read_config.cache_clear()
        yield
        read_config.cache_clear()

    def test_a_suite_says_what_is_missing(self, plan, tmp_path):
        with pytest.raises(SuiteError) as error:
            plan(SUITE).jobs()
        text = str(error.value)
        assert text.startswith("run 'teacher': ") and '\n' not in text
        assert text.endswith(
            'small/demo_cifar/teacher.py needs mmpretrain, which is not installed: '
            'pip install -r requirements/mmpretrain.txt, or the extra mmrazor_tat[classification]'
        )
        assert not (tmp_path / 'out').exists()

    @pytest.mark.parametrize(
        ('text', 'error'),
        [  # also where no base is of it; another module is named as it is
            ("default_scope = 'mmpretrain'\nmodel = dict(type='A')\n", 'own.py needs mmpretrain'),
            ('_base_ = []\nimport no_such_module_xyz\n', 'no_such_module_xyz'),
        ],
    )
    def test_a_config_that_needs_what_is_missing(self, tmp_path, text, error):
        (tmp_path / 'own.py').write_text(text)
        with pytest.raises(UserError, match=error):
            read_config_file(tmp_path / 'own.py')

    def test_a_tool_says_it_in_one_line(self, call, tmp_path):
        ended = call('train', config_path('small/demo_cifar/student.py'), '--work-dir', tmp_path)
        assert 'needs mmpretrain, which is not installed: pip' in ended.code


def test_validations_of_a_run_by_iterations_are_told_apart(plan, tmp_path):
    """mmengine gives them the number of the epoch, 0 for all, unless it is told otherwise."""
    key = 'default_hooks.logger.log_metric_by_epoch'
    (tmp_path / 'a.py').write_text(
        "model = dict(type='ReadsATensor', width=2)\n"
        'train_cfg = dict(by_epoch=False, max_iters=3)\n'
        "default_hooks = dict(logger=dict(type='LoggerHook'))\n"
    )
    text = "title, metric, seeds = 'A', 'm', (0,)\nruns = dict(a=dict(config='a.py', options={}))\n"
    found = plan(text).job('a', 0)
    assert found.options[key] is False and found.settings[key] == 'False'
    for options in (
        "{'train_cfg': dict(by_epoch=True, max_epochs=3)}",
        "{'default_hooks.logger.log_metric_by_epoch': False}",
    ):
        changed = plan(text.replace('{}', options)).job('a', 0).options
        # Not set by the runner: such runs have the settings that they had before.
        assert changed.get(key) is (False if key in options else None)


@pytest.mark.mmpretrain
def test_parameters_and_data(plan, tmp_path):
    found = plan(SUITE)
    teacher, student, kd = (found.job(name, 0) for name in ('teacher', 'student', 'kd'))
    # ResNet-20 for CIFAR has 0.27 M (He et al. 2016), here half the widths.
    assert teacher.parameters == pytest.approx(0.273e6 / 4, rel=0.03)
    assert student.parameters == kd.parameters == pytest.approx(20e3, rel=0.1)
    assert kd.options['data_root'] == str(tmp_path / 'out/data')
    assert kd.options['default_hooks.checkpoint.save_best'] == 'accuracy/top1'
    assert kd.settings['default_hooks.logger.log_metric_by_epoch'] == 'False'
    assert kd.settings['suite.toy_data'].startswith("{'layout': 'cifar'")
    with pytest.raises(SuiteError, match="run 'kd' has a model.teacher that is not the network"):
        plan(SUITE.replace("teacher='teacher'", "teacher='student'")).jobs()


@pytest.mark.mmpretrain
def test_a_network_that_meta_does_not_take():
    """mmpretrain's ResNet-18, of 11.69 M parameters (torchvision's table)."""
    cfg = Config.fromstring("_base_ = 'mmpretrain::_base_/models/resnet18.py'", '.py')
    shapes = network_shapes(cfg.model, 'mmpretrain')
    assert shapes.parameters == 11_689_512
    assert shapes.of['head.fc.weight'] == (1000, 512)
