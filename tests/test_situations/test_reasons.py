"""Errors that name their cause: modules, packages, parts, losses that teach nothing."""

import importlib.util
import sys

import pytest
from mmengine import Config

CHAIN = """
try:
    import a_b
except ImportError as error:
    raise ImportError('needs ab') from error
"""
HAS_MMDET = importlib.util.find_spec('mmdet') is not None


@pytest.fixture
def config(make, tmp_path, monkeypatch):
    """A plain config that imports ``my_ds``, of this content."""

    def config(content: str | None, folder=None, imports='my_ds'):
        if content is not None:
            (folder or tmp_path).mkdir(exist_ok=True)
            ((folder or tmp_path) / 'my_ds.py').write_text(content)
        monkeypatch.delitem(sys.modules, 'my_ds', raising=False)
        return make('plain', custom_imports=dict(imports=[imports], allow_failed_imports=False))

    return config


@pytest.mark.parametrize('tool', ['train', 'new_recipe', 'inspect_features'])
def test_a_module_that_is_not_on_the_path(config, call, tool, tmp_path):
    path = config('x = 1\n')
    more = [path, '--out', tmp_path / 'r.py'] if tool == 'new_recipe' else []
    line = call(tool, path, *more).line
    assert "ModuleNotFoundError: No module named 'my_ds'" in line
    assert 'it is a module of your own: then set PYTHONPATH to the folder that holds it' in line
    assert 'site-packages' not in line  # mmengine lists the whole path


def test_a_module_that_is_nowhere(config, call):
    line = call('train', config(None, imports='not_there.at_all')).line
    assert "No module named 'not_there'" in line
    assert 'not_there is not installed (pip install not_there), or it is a module' in line


@pytest.mark.parametrize(
    'content, reason',
    [
        ('from mmseg.datasets import BaseSegDatset\n', "cannot import name 'BaseSegDatset' from"),
        ('import numpyy\n', "ModuleNotFoundError: No module named 'numpyy'"),
        (CHAIN, 'needs ab: ModuleNotFoundError: No module named'),
        ('1 / 0\n', 'ZeroDivisionError: division by zero'),
        ('raise SystemExit(3)\n', 'SystemExit: 3'),
    ],
    ids=['name', 'package', 'chain', 'bug', 'exit'],
)
def test_a_module_with_a_bug_of_its_own(config, call, monkeypatch, tmp_path, content, reason):
    path = config(content)
    monkeypatch.syspath_prepend(tmp_path)
    line = call('train', path).line
    assert reason in line


@pytest.mark.skipif(HAS_MMDET, reason='mmdet is installed')
def test_a_package_of_a_type_is_named(make, call):
    line = call('train', make('plain', **{'model.neck': dict(type='mmdet.FPN')})).line
    assert 'mmdet.FPN is not in' in line and 'needs mmdet, which is not installed' in line


def test_a_part_that_cannot_be_run_is_named(make, call, tmp_path):
    broken = make('student', **{'model.decode_head.in_channels': 63})
    line = call('new_recipe', make('teacher', 16), broken, '--out', tmp_path / 'r.py').line
    assert 'cannot be run on an input of 48 x 48: RuntimeError: ' in line


KL = dict(type='KLDivergence', _scope_='mmrazor', tau=1.0, reduction='mean', loss_weight=1.0)
OWN = """
import torch
from mmrazor.registry import MODELS
from torch import nn

@MODELS.register_module(force=True)
class OwnKD(nn.Module):
    def forward(self, preds_S, preds_T):
        return (preds_S.softmax(1) - preds_T.softmax(1)).abs().mean()
"""


def one_channel(cfg):
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
        head.update(out_channels=1, threshold=0.5)
        head.loss_decode.use_sigmoid = True


def test_kd_of_a_single_logit_learns(pair, call, tmp_path):
    files = pair(one_channel, 'kd')
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    values = [float(x.split()[0]) for x in ended.printed.split('distill.loss_kd: ')[1:]]
    assert len(values) == 2 and min(values) > 1e-4


@pytest.mark.parametrize('kind', ['mmrazor', 'own'])
def test_a_constant_loss_is_refused_by_name(pair, call, kind, tmp_path, monkeypatch):
    files = pair(one_channel, 'kd')
    cfg = Config.fromfile(files.recipe)
    cfg.model.distiller.distill_losses.loss_kd = KL
    if kind == 'own':
        (tmp_path / 'own_kd.py').write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path)
        cfg.model.distiller.distill_losses.loss_kd = dict(type='OwnKD')
        cfg.custom_imports.imports.append('own_kd')
    cfg.dump(tmp_path / 'constant.py')
    line = call('train', tmp_path / 'constant.py', '--work-dir', tmp_path / 'run').line
    assert "distill_losses['loss_kd']" in line
    assert 'its gradient is zero whatever the student gives' in line
    assert "'decode_head.conv_seg', shape (1, 1, 6, 6)" in line
    if kind == 'mmrazor':  # a weight of 0 says the same on purpose
        weight = 'model.distiller.distill_losses.loss_kd.loss_weight=0'
        ended = call('train', tmp_path / 'constant.py', '--cfg-options', weight)
        assert ended.code is None, ended.line
