"""Finding a config, reading it, and the network in it."""

import ast
import contextlib
import difflib
import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import mmengine
from mmengine import Config, ConfigDict
from mmengine.config import utils as config_utils
from mmengine.utils import get_installed_path

from .error_text import how_to_install, is_installed, one_line, reasons, with_reasons


def is_classifier(cfg: Config) -> bool:
    """Whether a config's network gives an image one class, as mmpretrain's do, not each pixel."""
    return cfg.get('default_scope') == 'mmpretrain'


def require_segmentation(cfg: Config, what: str) -> None:
    """Raise ValueError for the config of a classifier; ``what`` begins the error."""
    if is_classifier(cfg):
        raise ValueError(
            f'{what} are of segmentation, and the network of config {cfg.filename!r} is a '
            'classifier (default_scope mmpretrain)'
        )


def config_file(name: str) -> str:
    """The path of a config, given as a path or as ``PACKAGE::NAME``, e.g. ``'mmseg::fcn/...py'``.

    Raises:
        FileNotFoundError: there is no such file, or the package is not installed.
    """
    if '::' not in name:
        if not Path(name).is_file():
            raise FileNotFoundError(f'there is no config {name!r} (looked from {Path.cwd()})')
        return name
    package, file = name.split('::', 1)
    try:
        # mmengine's own table: an mmseg:: is also found in the OneDL forks, see compat.
        root = get_installed_path(config_utils.MODULE2PACKAGE.get(package, package))
    except Exception as error:
        raise FileNotFoundError(f'{name!r}: package {package!r} is not installed') from error
    path = Path(root) / '.mim' / 'configs' / file
    if not path.is_file():
        raise FileNotFoundError(f'{name!r}: {package} has no config {file!r}')
    return str(path)


def config_path(name: str) -> str:
    """Path of a shipped config, e.g. ``'_base_/methods/tat.py'``, as ``mmrazor_tat::`` has it.

    Raises:
        FileNotFoundError: there is no such config.
    """
    root = Path(__file__).parents[1] / '.mim' / 'configs'
    if not (root / name).is_file():
        known = sorted(path.relative_to(root).as_posix() for path in root.rglob('*.py'))
        same = [path for path in known if Path(path).name == Path(name).name]
        close = same[:3] or difflib.get_close_matches(name, known, cutoff=0.4)
        raise FileNotFoundError(
            f'there is no config {name!r} among the {len(known)} of {root.resolve()}'
            + (f'; near it: {", ".join(close)}' if close else '')
        )
    return str((root / name).resolve())


def model_config(name: str) -> ConfigDict:
    """The ``model`` of a config, given as a path or as ``PACKAGE::NAME``.

    For recipes: ``teacher=__import__('mmrazor_tat').model_config('mmseg::segformer/...py')``. A
    ``data_preprocessor`` that stands beside the model (mmpretrain) is put into it, as the Runner
    does.
    """
    cfg = Config.fromfile(config_file(name))
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return cfg.model


def is_recipe(cfg: Config) -> bool:
    """Whether a config is of a distillation, by its model."""
    return 'architecture' in (cfg.get('model') or {})


def model_of(cfg: Config, part: Optional[str] = None) -> ConfigDict:
    """The network of a config; of a distillation recipe its student, or its teacher.

    Args:
        cfg: a plain config or a recipe.
        part: 'student', 'teacher' or None (the student of a recipe).

    Raises:
        ValueError: the config has no model, or is no recipe and a part was asked for.
    """
    if 'model' not in cfg:
        raise ValueError(f'config {cfg.filename!r} has no model')
    if not is_recipe(cfg):
        if part is not None:
            raise ValueError(f'config {cfg.filename!r} is no distillation recipe: it has no {part}')
        return cfg.model
    return cfg.model.teacher if part == 'teacher' else cfg.model.architecture


# What our configs need and our package does not.
_OPTIONAL = ('mmpretrain',)
_MMENGINE = str(Path(mmengine.__file__).parent)


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
    except (Exception, SystemExit) as error:  # a config is a Python file, and can raise anything
        text = f'config {str(path)!r} cannot be read: {with_reasons(error)}{_raised_at(error)}'
        raise ConfigError(one_line(text) + _where_to_look(error, path)) from error


def _raised_at(error: BaseException) -> str:
    """The line of a user's file that raised, at the bottom of the reasons; else ''."""
    frames = [
        frame
        for frame in traceback.extract_tb(reasons(error)[-1].__traceback__)
        if not frame.filename.startswith(('<', _MMENGINE)) and 'site-packages' not in frame.filename
    ]
    ours = str(Path(__file__).parent.parent)
    if not frames or frames[-1].filename.startswith((ours, importlib.__path__[0])):
        return ''
    return f' ({frames[-1].filename}, line {frames[-1].lineno})'


def _where_to_look(error: BaseException, path: str | Path) -> str:
    """What helps against a module of ``custom_imports`` that is not found; else ''."""
    if 'custom modules' not in str(error):
        return ''
    missing = [one.name for one in reasons(error) if isinstance(one, ModuleNotFoundError)]
    if not missing or not missing[0]:
        return ''
    name = missing[0].split('.')[0]
    folder = Path(path).resolve().parent
    beside = next((of for of in (folder, *folder.parents) if _holds(of, name)), None)
    if beside is not None:
        return f'. {name} lies in {beside}, which is not on the path: set PYTHONPATH={beside}'
    return (
        f'. If {name} is a module of your own, set PYTHONPATH to the folder that holds it; else '
        'the package has to be installed'
    )


def _holds(folder: Path, module: str) -> bool:
    return (folder / f'{module}.py').is_file() or (folder / module / '__init__.py').is_file()


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
    except ImportError as error:
        for package in _OPTIONAL:
            text = with_reasons(error)
            if any(of in text for of in (f"'{package}'", f'{package} is not installed')):
                raise _missing(path, package) from error
        raise
    package = cfg.get('default_scope')
    if package in _OPTIONAL and not is_installed(package):
        raise _missing(path, package)
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


def _missing(path: str | Path, package: str) -> MissingPackageError:
    return MissingPackageError(
        f'{path} needs {package}, which is not installed: {how_to_install(package)}'
    )
