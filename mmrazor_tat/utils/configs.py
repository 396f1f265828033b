"""Finding a config, reading it, and the network in it."""

import difflib
from pathlib import Path
from typing import Optional

from mmengine import Config, ConfigDict
from mmengine.config import utils as config_utils
from mmengine.utils import get_installed_path

from .errors import UserError, how_to_install, is_installed, reasons, said


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

    FileNotFoundError where there is no such file, or the package is not installed.
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

    FileNotFoundError where there is no such config.
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
    """The network of a config; of a distillation recipe its student, or the 'teacher'.

    ValueError where the config has no model, or is no recipe and a part was asked for.
    """
    if 'model' not in cfg:
        raise ValueError(f'config {cfg.filename!r} has no model')
    if not is_recipe(cfg):
        if part is not None:
            raise ValueError(f'config {cfg.filename!r} is no distillation recipe: it has no {part}')
        return cfg.model
    return cfg.model.teacher if part == 'teacher' else cfg.model.architecture


def read_config_file(path: str | Path) -> Config:
    """``Config.fromfile``.

    Raises:
        UserError: whatever a Python file can raise, or a package that is not installed.
    """
    try:
        _refuse_circle(Path(path).resolve())  # mmengine would open files until there are too many
        cfg = Config.fromfile(path)
    except (Exception, SystemExit) as error:
        _require_mmpretrain(path, said(error))
        text = f'config {str(path)!r} cannot be read: {said(error)}'
        for reason in reasons(error):
            name = (getattr(reason, 'name', None) or '').split('.')[0]
            if isinstance(reason, ModuleNotFoundError) and name:
                text += f'. {name} is not installed ({how_to_install(name)}), or it is a module of '
                text += 'your own: then set PYTHONPATH to the folder that holds it'
                break
        raise UserError(text) from error
    _require_mmpretrain(path, cfg.get('default_scope') or '')
    return cfg


def _refuse_circle(path: Path, *above: Path) -> None:
    if path in above:
        chain = ' -> '.join(of.name for of in (*above, path))
        raise ValueError(f'_base_ goes in a circle: {chain}')
    for base in Config._get_base_files(str(path)):
        if '::' not in base:
            _refuse_circle((path.parent / base).resolve(), *above, path)


def _require_mmpretrain(path: str | Path, text: str) -> None:
    """What our configs need and our package does not."""
    if 'mmpretrain' in text and not is_installed('mmpretrain'):
        how = how_to_install('mmpretrain')
        raise UserError(f'{path} needs mmpretrain, which is not installed: {how}')
