"""Reading a config whose packages may not be installed."""

import ast
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
        ValueError: its bases are no paths, or go in a circle, which mmengine would follow for
            minutes.
        Exception: whatever a Python file can raise.
    """
    _refuse_circle(Path(path))
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


def _refuse_circle(path: Path, above: tuple[Path, ...] = ()) -> None:
    path = path.resolve()
    chain = (*above, path)
    if path in above:
        raise ValueError('_base_ goes in a circle: ' + ' -> '.join(of.name for of in chain))
    for base in _bases(path):
        _refuse_circle(path.parent / base, chain)


def _bases(path: Path) -> list[str]:
    """The bases of a config that are files beside it; what cannot be read is mmengine's to say."""
    try:
        body = ast.parse(path.read_text(encoding='utf-8')).body
    except (OSError, SyntaxError, ValueError):
        return []
    for line in body:
        is_base = isinstance(line, ast.Assign) and getattr(line.targets[0], 'id', '') == '_base_'
        if not is_base:
            continue
        try:
            named = ast.literal_eval(line.value)
        except ValueError:  # it is computed
            return []
        bases = named if isinstance(named, (list, tuple)) else [named]
        if not all(isinstance(base, str) for base in bases):
            raise ValueError(f'_base_ must be a path or a list of paths, got {named!r}')
        return [base for base in bases if '::' not in base]
    return []


def _missing(path: str | Path, package: str, how: str) -> MissingPackageError:
    return MissingPackageError(f'{path} needs {package}, which is not installed: {how}')


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a stand-in without a spec
        return True
