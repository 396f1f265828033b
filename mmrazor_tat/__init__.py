"""The target-aware transformer (TaT, CVPR 2022) for MMRazor and MMSegmentation.

Importing this package registers all its parts in mmrazor's registries. A config needs only
``custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)``.
"""

from . import compat

compat.apply()

from . import datasets, engine, models  # noqa: E402
from .engine.runner.optimizer import teach_runner  # noqa: E402
from .utils.configs import config_path, model_config  # noqa: E402
from .version import __version__  # noqa: E402

teach_runner()


__all__ = ['__version__', 'compat', 'config_path', 'datasets', 'engine', 'model_config', 'models']
