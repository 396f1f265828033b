"""MMRazor 1.0 and MMSegmentation on current PyTorch.

``apply()`` runs once, when ``mmrazor_tat`` is imported. Each cure is guarded by the fault that
needs it, so nothing changes on a stack that works. Nothing here replaces an installed package.
"""

import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import types
import warnings

import torch
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.utils import digit_version

from .checkpoints import read_safely_by_default

# The newest torch that MMRazor 1.0 knows; it leaves its quantization tables empty for it.
_OLD_TORCH = '1.12.1'
_NEWEST_MMCV_OF_MMRAZOR = '2.1.0'

# Said once a run by the packages below us, and nothing that a user of ours can act on.
_HARMLESS_WARNINGS = (
    'DeprecationWarning: pretrained is a deprecated',
    'pkg_resources is deprecated',
    r'Fail to import ``MultiScaleDeformableAttention``',
    r'``build_loss`` would be deprecated',
    r'``build_.*`` would be deprecated',
    r'Default ``avg_non_ignore`` is False',
    r'"FileClient" will be deprecated',
    'The draw is False, it means that the hook for visualization',
    'This DataLoader will create .* worker processes',
    r'`torch.jit.* is deprecated',
)


def apply() -> None:
    """Make mmrazor's distillation parts importable and right. Safe to call more than once."""
    with warnings.catch_warnings():
        silence_harmless_warnings()
        _find_config_packages()
        _read_our_configs_as_from_a_path()
        _stub_mmcv_ops()
        _import_mmrazor()
        _import_mmrazor_models()
    _turn_off_inplace_everywhere()
    read_safely_by_default()


def silence_harmless_warnings() -> None:
    """For command line tools: hide what MM packages say once a run and nobody can act on."""
    for message in _HARMLESS_WARNINGS:
        warnings.filterwarnings('ignore', message=message)


def _find_config_packages() -> None:
    """Let ``_base_ = 'mmrazor_tat::...'`` and, on the OneDL forks, ``'mmseg::...'`` resolve."""
    packages = config_utils.MODULE2PACKAGE
    # mmengine looks the name up as a distribution first, which does not find the source of an
    # editable install; the name of a module makes it take that module's folder: ours.
    packages.setdefault('mmrazor_tat', 'mmrazor_tat.version')
    for module, fork in (
        ('mmseg', 'onedl-mmsegmentation'),
        ('mmpretrain', 'onedl-mmpretrain'),
        ('mmdet', 'onedl-mmdetection'),
    ):
        if not is_installed(packages.get(module, module)) and is_installed(fork):
            packages[module] = fork


def _read_our_configs_as_from_a_path() -> None:
    """mmengine gives every part of an external config without a scope the name of the package.

    For a config of ours that is no registry's: the transforms of mmpretrain would not be found.
    """
    original = Config._get_cfg_path
    if getattr(original, 'cured', False):
        return

    @functools.wraps(original)
    def get_cfg_path(cfg_path, filename):
        path, scope = original(cfg_path, filename)
        return path, None if scope == 'mmrazor_tat' else scope

    get_cfg_path.cured = True
    Config._get_cfg_path = staticmethod(get_cfg_path)


def _stub_mmcv_ops() -> None:
    """mmcv-lite: mmseg imports ``mmcv.ops`` for models that DeepLab is not one of."""
    import mmcv

    name = 'mmcv._ext'
    # Later mmcv versions come with an mmseg that does without the compiled operators.
    if digit_version(mmcv.__version__) > digit_version(_NEWEST_MMCV_OF_MMRAZOR):
        return
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return

    def missing_operator(operator):
        if operator.startswith('__'):
            raise AttributeError(operator)

        def call(*args, **kwargs):
            raise RuntimeError(
                f'mmcv operator {operator!r} needs the compiled mmcv (2.0.0 to 2.1.0); '
                'mmcv-lite is installed, which has none'
            )

        return call

    stub = types.ModuleType(name, 'Stands in for the compiled operators that mmcv-lite lacks.')
    # Without a loader mmengine still reports "compiled operators not available".
    stub.__spec__ = importlib.machinery.ModuleSpec(name, loader=None)
    stub.__getattr__ = missing_operator
    sys.modules[name] = stub


def _import_mmrazor() -> None:
    """MMRazor asserts mmcv <= 2.1.0 at its import; the OneDL mmcv is newer and serves it."""
    import mmcv

    if 'mmrazor' in sys.modules:
        return
    version = mmcv.__version__
    if digit_version(version) > digit_version(_NEWEST_MMCV_OF_MMRAZOR):
        mmcv.__version__ = _NEWEST_MMCV_OF_MMRAZOR
    try:
        import mmrazor  # noqa: F401
    finally:
        mmcv.__version__ = version


def _import_mmrazor_models() -> None:
    """MMRazor's quantization tables use names that torch 2 removed; old torch makes it skip them.

    Only ``mmrazor.digit_version`` is changed, and only while mmrazor's modules are imported.
    """
    import mmrazor

    if digit_version(torch.__version__) < digit_version('2.0.0'):
        import mmrazor.models  # noqa: F401

        return

    real = mmrazor.digit_version

    def old_torch(version, *args, **kwargs):
        version = _OLD_TORCH if version == torch.__version__ else version
        return real(version, *args, **kwargs)

    mmrazor.digit_version = old_torch
    try:
        import mmrazor.models  # noqa: F401
    finally:
        mmrazor.digit_version = real
        for name, module in sys.modules.copy().items():
            if name.startswith('mmrazor.') and vars(module).get('digit_version') is old_torch:
                module.digit_version = real


def _turn_off_inplace_everywhere() -> None:
    """Records must keep the value that they had when they were recorded.

    MMRazor's own walk stops at the first module with an ``inplace`` attribute (mmcv's
    ConvModule) and, where ``nn.Module._modules`` is a plain dict, at the root. No stack is free
    of the first fault, so this cure is applied on all.
    """
    from mmrazor.models.algorithms.base import BaseAlgorithm

    def set_module_inplace_false(self, architecture, varstr=''):
        """Set ``inplace`` to False on every module of ``architecture`` that has it."""
        turn_off_inplace(architecture)

    BaseAlgorithm.set_module_inplace_false = set_module_inplace_false


def turn_off_inplace(model: torch.nn.Module) -> None:
    """Set ``inplace`` to False on every module that has it."""
    for module in model.modules():
        if getattr(module, 'inplace', False):
            module.inplace = False


def is_installed(distribution: str) -> bool:
    """Whether a distribution of this name is installed, e.g. 'mmcv-lite'."""
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
