"""Shared by the tests: a generated data set, and segmentors small enough for two cores."""

import copy
import functools
import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

# With pytest-xdist the processes share the cores, and so do the tools that they start: two pools of
# threads on the same cores wait for each other. Read as torch is imported.
_PROCESSES = os.environ.get('PYTEST_XDIST_WORKER_COUNT')
if _PROCESSES:
    _THREADS = max(1, (os.cpu_count() or 1) // int(_PROCESSES))
    os.environ.setdefault('OMP_NUM_THREADS', str(_THREADS))

import torch  # noqa: E402

# Where torchvision is installed (mmpretrain needs it), here and in the tools that tests start.
_CPU_TORCHVISION = str(Path(__file__).parent / 'cpu_torchvision')
sys.path.insert(0, _CPU_TORCHVISION)
os.environ['PYTHONPATH'] = os.pathsep.join(
    filter(None, (_CPU_TORCHVISION, os.environ.get('PYTHONPATH')))
)
import torchvision_operators  # noqa: E402

torchvision_operators.install()

from mmengine import Config, ConfigDict  # noqa: E402
from mmengine.config import config as config_module  # noqa: E402
from mmengine.config import utils as config_utils  # noqa: E402
from mmengine.dataset import base_dataset  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from run_tool import own_instances  # noqa: E402
from yapf.yapflib import yapf_api  # noqa: E402

import mmrazor_tat  # noqa: F401, E402
from mmrazor_tat.datasets.toy_scenes import write_toy_voc  # noqa: E402

REPO = Path(__file__).parent.parent

pytest_plugins = (
    'fixtures.cifar',
    'fixtures.distillation',
    'fixtures.suites',
    'fixtures.tools',
)

# mmengine reads all metafiles of mmseg anew for every base 'mmseg::...': a second each.
config_utils.load = functools.cache(config_utils.load)

# And it looks for the package of each such base anew.
config_module.is_installed = functools.cache(config_module.is_installed)

# Its data sets collect garbage when they are made: half a second each.
base_dataset.gc = SimpleNamespace(collect=lambda: 0)

# A loader that is collected as garbage waits five seconds for each of its workers.
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.2

# It also lays out a config's text, for the log and for each checkpoint: a second each.
for _owner in (config_module, yapf_api):  # where mmengine looks, and where its OneDL fork
    if hasattr(_owner, 'FormatCode'):
        _owner.FormatCode = lambda text, **_: (text, False)


# What a user of another stack leans on: the maths, every part, all recipes built, the checkpoints,
# one training of our tools with its resuming and its test.
_CORE = (
    'test_compat/',
    'test_configs.py',
    'test_functional.py',
    'test_models/',
    'test_ops.py',
    'test_engine/test_hooks/test_loss_hooks.py',
    'test_engine/test_hooks/test_student_checkpoint_hook.py',
    'test_utils/test_networks.py',
    'test_visualization/test_attention_maps.py',
    'test_visualization/test_target_points.py',
    'test_tools/test_train_and_test.py',
)
# Of these: proofs of minutes that no stack changes, and the second data set of every recipe.
_NOT_CORE = ('n_by_n_matrix', 'test_memory_of_the_whole_map', 'coco-stuff10k')


def pytest_collection_modifyitems(items) -> None:
    """mmpretrain is no dependency: what needs it is skipped where it cannot be imported."""
    # The longest files begin, so that no process is left alone with one; what measures memory comes
    # before them, to the other process.
    first = ('test_measuring.py', 'test_docs.py', 'test_tutorial.py', 'test_benchmark_suite.py')
    first += ('test_voc.py', 'test_train_and_test.py', 'test_two_processes.py')
    items.sort(key=lambda item: (first + (item.path.name,)).index(item.path.name))
    for item in items:
        name = item.path.relative_to(REPO / 'tests').as_posix()
        if name.startswith(_CORE) and not any(part in item.name for part in _NOT_CORE):
            item.add_marker('core')
    if importlib.util.find_spec('mmpretrain') is not None:
        return
    skip = pytest.mark.skip(reason='mmpretrain is not installed: make test-mmpretrain')
    for item in items:
        if item.get_closest_marker('mmpretrain') is not None:
            item.add_marker(skip)


@pytest.fixture(scope='session')
def repo() -> Path:
    return REPO


@pytest.fixture(scope='session')
def toy_voc(tmp_path_factory) -> Path:
    """A root in VOC's layout: 12 training and 4 validation images, of several sizes."""
    # By turns: the crop's and the evaluation's, wide and odd, high, smaller than the crop.
    sizes = [(64, 64), (61, 97), (88, 70), (64, 64), (60, 60)]
    return write_toy_voc(tmp_path_factory.mktemp('toy'), num_train=12, num_val=4, size=sizes)


@pytest.fixture(autouse=True)
def instances():
    """mmengine's loggers, hubs and scopes of each test alone, and the scope of mmseg's configs."""
    with own_instances():
        init_default_scope('mmseg')
        yield


@functools.cache
def _deeplabv3() -> ConfigDict:
    return Config.fromstring("_base_ = 'mmseg::_base_/models/deeplabv3_r50-d8.py'", '.py').model


@pytest.fixture
def segmentor():
    """A function that gives the config of a small DeepLabV3, map 1/8 of the image."""

    def make(channels: int = 8, num_classes: int = 7, crop: int = 64) -> ConfigDict:
        model = copy.deepcopy(_deeplabv3())
        for key in ('_scope_', 'pretrained'):
            model.pop(key)
        model.data_preprocessor.size = (crop, crop)
        model.backbone.update(depth=18, base_channels=channels, stem_channels=channels)
        model.decode_head.update(in_channels=8 * channels, channels=2 * channels, dilations=(1, 2))
        model.auxiliary_head.update(in_channels=4 * channels, channels=channels)
        for head in (model.decode_head, model.auxiliary_head):
            head.num_classes = num_classes
        for part in (model.backbone, model.decode_head, model.auxiliary_head):
            part.norm_cfg = dict(type='BN', requires_grad=True)
        return model

    return make


def _distiller_config(method: str, points: str = 'deeplabv3') -> ConfigDict:
    base = REPO / 'configs/_base_'
    distiller = Config.fromfile(base / f'feature_points/{points}.py').distiller
    distiller.update(Config.fromfile(base / f'methods/{method}.py').method.distiller)
    return distiller


@pytest.fixture
def distiller_config():
    """A function that gives a distiller as a recipe puts it together, of two fragments."""
    return _distiller_config


@pytest.fixture
def tat_distiller() -> dict:
    """The composed form of the recipes' distiller, with a grid and a kernel for a map of 8 x 8."""
    cfg = _distiller_config('tat_composed')
    cfg.distill_losses.loss_patch.update(grid=(4, 4), groups=4)
    cfg.distill_losses.loss_anchor.update(kernel=2)
    return cfg


@pytest.fixture
def lean_distiller() -> dict:
    """The recipes' distiller, with views for a map of 8 x 8."""
    cfg = _distiller_config('tat')
    patch, anchor = cfg.distill_losses.loss_tat.views
    patch.update(grid=(4, 4), groups=4)
    anchor.update(kernel=2)
    return cfg


@pytest.fixture
def save_weights(tmp_path):
    """A function that builds a model from its config and saves its random weights."""

    def save(config: dict, name: str = 'teacher.pth') -> str:
        from mmseg.registry import MODELS

        torch.manual_seed(1)
        model = MODELS.build(copy.deepcopy(config))
        torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture
def batch():
    """A function that gives (inputs, data_samples) for a small segmentor."""

    def make(size: int = 2, crop: int = 64, num_classes: int = 7):
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(size, 3, crop, crop, generator=generator)
        labels = torch.randint(0, num_classes, (size, 1, crop, crop), generator=generator)
        samples = [
            SegDataSample(
                gt_sem_seg=PixelData(data=label),
                metainfo=dict(img_shape=(crop, crop), ori_shape=(crop, crop)),
            )
            for label in labels
        ]
        return inputs, samples

    return make


class TwoIterations(NamedTuple):
    """A training of two iterations: its log, and the model's state."""

    training: list[dict]  # the lines with losses
    lines: list[dict]
    before: dict[str, torch.Tensor]  # the state before
    changed: set[str]  # its keys whose values are others now


@pytest.fixture
def two_iterations():
    """A function that trains a config, which is of two iterations, through the Runner."""

    def train(cfg: Config) -> TwoIterations:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            runner = Runner.from_cfg(cfg)
            before = {k: v.clone() for k, v in runner.model.state_dict().items()}
            runner.train()
        assert runner.iter == 2
        (log,) = Path(cfg.work_dir).rglob('scalars.json')
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        state = runner.model.state_dict()
        changed = {k for k, v in state.items() if not v.equal(before[k])}
        return TwoIterations([line for line in lines if 'loss' in line], lines, before, changed)

    return train
