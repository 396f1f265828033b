"""Reading a config whose packages may not be installed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from mmengine import Config

from .error_text import one_line

# How to get what our configs need and our package does not.
_HOW = {
    'mmpretrain': 'pip install -r requirements/mmpretrain.txt, or the extra '
    'mmrazor_tat[classification]',
}


class MissingPackageError(ValueError):
    """A config needs a package that is not installed; the text says how to get it."""


class ConfigError(ValueError):
    """A config that cannot be read; the text is one line."""


@contextlib.contextmanager
def config_errors(path: str | Path) -> Iterator[None]:
    """Inside, whatever reading a config raises becomes a ConfigError that names it."""
    try:
        yield
    except MissingPackageError:
        raise
    except Exception as error:  # a config is a Python file, and can raise anything
        text = str(error).split(', the current sys.path')[0]
        raise ConfigError(
            one_line(f'config {str(path)!r} cannot be read: {type(error).__name__}: {text}')
        ) from error


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
