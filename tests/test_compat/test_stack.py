"""Each cure of compat.py against the fault that it cures, in a fresh interpreter where needed."""

import gc
import itertools
import subprocess
import sys

import pytest
import torch
from torch import nn

from mmrazor_tat import compat


def python(code: str) -> str:
    """What ``code`` prints in an interpreter of its own; its errors are the test's."""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_mmrazor_imports_and_sees_the_real_versions_afterwards():
    """Nothing is warned of, and all is registered."""
    names = (
        'TaTLoss PatchGroupTaTLoss AnchorPointTaTLoss HierarchicalTaTLoss TaTConnector '
        'SharedConnectorDistiller FrozenTeacherDistill'
    )
    code = (
        'import mmcv, warnings; before = mmcv.__version__\n'
        'with warnings.catch_warnings(record=True) as told:\n'
        '    import mmrazor_tat\n'
        'warned = [str(w.message)[:60] for w in told if issubclass(w.category, UserWarning)]\n'
        'import mmrazor.models, torch, sys\n'
        'assert mmcv.__version__ == before\n'
        'fakes = [n for n, m in sys.modules.items() if n.startswith("mmrazor.")\n'
        '         and getattr(m, "digit_version", mmrazor.digit_version)'
        ' is not mmrazor.digit_version]\n'
        'real = mmrazor.digit_version(torch.__version__) >= mmrazor.digit_version("2.0.0")\n'
        'from mmrazor.registry import MODELS\n'
        f'packages = {{MODELS.get(n).__module__.split(".")[0] for n in "{names}".split()}}\n'
        'print(warned, fakes, real, packages)'
    )
    real = tuple(int(k) for k in torch.__version__.split('.')[:2]) >= (2, 0)
    assert python(code) == f"[] [] {real} {{'mmrazor_tat'}}"


def test_import_after_mmrazor_s_own_import_has_failed():
    code = (
        'try:\n'
        '    import mmrazor.models\n'
        'except Exception:\n'
        '    pass\n'
        'import mmrazor_tat\n'
        'print(mmrazor_tat.models.TaTLoss.__name__)'
    )
    assert python(code) == 'TaTLoss'


def test_mmseg_models_import_and_compiled_operators_say_what_they_need():
    code = (
        'import mmrazor_tat, mmseg.models, sys\n'
        'from mmengine.utils.dl_utils import collect_env\n'
        'collect_env()\n'
        'from mmengine.utils.dl_utils.parrots_wrapper import TORCH_VERSION\n'
        'ext = sys.modules.get("mmcv._ext")\n'
        'try:\n'
        '    ext and ext.nms(1)\n'
        '    print("none")\n'
        'except RuntimeError as error:\n'
        '    print(error)'
    )
    stubbed = compat.is_installed('mmcv-lite')
    assert ("'nms' needs the compiled mmcv" in python(code)) == stubbed


def test_inplace_is_turned_off_everywhere():
    """MMRazor's own walk stops at the root, and at mmcv's ConvModule, which has the attribute."""
    from mmcv.cnn import ConvModule
    from mmrazor.models.algorithms.base import BaseAlgorithm

    model = nn.Sequential(
        ConvModule(3, 4, 1, norm_cfg=dict(type='BN')), nn.Sequential(nn.ReLU(inplace=True))
    )
    found = [m for m in model.modules() if getattr(m, 'inplace', False)]
    assert len(found) == 3  # the ConvModule, its activation, and the plain one
    compat.apply()  # harmless
    BaseAlgorithm.set_module_inplace_false(None, model, 'self.architecture')
    assert not any(getattr(m, 'inplace', False) for m in model.modules())


def test_what_another_thread_imports_meanwhile_does_no_harm(monkeypatch):
    """Python lets other threads run, and import, where it collects garbage."""
    numbers = itertools.count()

    def import_one(phase, info) -> None:
        monkeypatch.setitem(sys.modules, f'meanwhile_{next(numbers)}', sys)

    gc.callbacks.append(import_one)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        compat.apply()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(import_one)
    assert next(numbers) > 0


def test_mmengine_loads_its_own_checkpoints(tmp_path):
    import numpy as np
    from mmengine.logging import MessageHub
    from mmengine.runner import CheckpointLoader

    hub = MessageHub('test_compat')
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('iter', np.int64(3))
    path = tmp_path / 'run.pth'
    torch.save(dict(state_dict={}, message_hub=hub.state_dict()), path)
    content = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert content['message_hub']['log_scalars']['train/loss'].current() == 0.5


@pytest.mark.parametrize('anneal', ['cos', 'linear'])
def test_mmengine_loads_a_one_cycle_schedule(tmp_path, anneal):
    """Its state holds a function, so a run with it could not be resumed, nor its network teach."""
    from mmengine.optim import OneCycleLR
    from mmengine.runner import CheckpointLoader

    def scheduler():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        return OneCycleLR(optimizer, eta_max=0.1, total_steps=10, anneal_strategy=anneal)

    first, second = scheduler(), scheduler()
    for _ in range(4):
        first.optimizer.step()
        first.step()
    path = tmp_path / 'run.pth'
    torch.save(dict(state_dict={}, param_schedulers=[first.state_dict()]), path)
    for load in (CheckpointLoader.load_checkpoint, _load_weights_only):
        content = load(str(path), map_location='cpu')
        second.load_state_dict(content['param_schedulers'][0])
        assert second.anneal_func(0.1, 0.3, 0.25) == first.anneal_func(0.1, 0.3, 0.25)
        assert second.last_step == first.last_step == 4


def _load_weights_only(path, map_location):
    with compat.weights_only():
        return torch.load(path, map_location=map_location)


@pytest.mark.parametrize(
    'base',
    [
        'mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'mmrazor_tat::students/deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512.py',
    ],
)
def test_packages_are_found_as_bases(base):
    from mmengine import Config

    cfg = Config.fromstring(f"_base_ = '{base}'", '.py')
    assert cfg.model.backbone.depth == 18
