"""Reading a config whose packages may not be installed."""

import importlib.util
from pathlib import Path

from mmengine import Config

# How to get what our configs need and our package does not.
_HOW = {
    'mmpretrain': 'pip install -r requirements/mmpretrain.txt, or the extra '
    'mmrazor_tat[classification]',
}


class MissingPackageError(ValueError):
    """A config needs a package that is not installed; the text says how to get it."""


def read_config_file(path: str | Path) -> Config:
    """``Config.fromfile``.

    Raises:
        MissingPackageError: it is of a package that is not installed, mmpretrain.
        Exception: whatever a Python file can raise.
    """
    try:
        cfg = Config.fromfile(path)
    except ModuleNotFoundError as error:
        for package, how in _HOW.items():
            if error.name == package or f'{package} is not installed' in str(error):
                raise _missing(path, package, how) from error
        raise
    package = cfg.get('default_scope')
    if package in _HOW and not _is_installed(package):
        raise _missing(path, package, _HOW[package])
    return cfg


def _missing(path: str | Path, package: str, how: str) -> MissingPackageError:
    return MissingPackageError(f'{path} needs {package}, which is not installed: {how}')


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a stand-in without a spec
        return True
