"""Finding a config and the network in it."""

from pathlib import Path
from typing import Optional

from mmengine import Config, ConfigDict
from mmengine.config import utils as config_utils
from mmengine.utils import get_installed_path


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
