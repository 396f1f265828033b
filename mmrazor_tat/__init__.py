"""The target-aware transformer (TaT, CVPR 2022) for MMRazor and MMSegmentation.

Importing this package registers all its parts in mmrazor's registries. A config needs only
``custom_imports = dict(imports=['mmrazor_tat'], allow_failed_imports=False)``.
"""

import difflib
from pathlib import Path

from . import compat

compat.apply()

from . import datasets, engine, models  # noqa: E402
from .engine.model_config import model_config  # noqa: E402
from .engine.optimizer import teach_runner  # noqa: E402
from .version import __version__  # noqa: E402

teach_runner()


def config_path(name: str) -> str:
    """Path of a shipped config, e.g. ``'_base_/methods/tat.py'``, as ``mmrazor_tat::`` has it.

    Raises:
        FileNotFoundError: there is no such config.
    """
    root = Path(__file__).parent / '.mim' / 'configs'
    if not (root / name).is_file():
        known = sorted(path.relative_to(root).as_posix() for path in root.rglob('*.py'))
        same = [path for path in known if Path(path).name == Path(name).name]
        close = same[:3] or difflib.get_close_matches(name, known, cutoff=0.4)
        raise FileNotFoundError(
            f'there is no config {name!r} among the {len(known)} of {root.resolve()}'
            + (f'; near it: {", ".join(close)}' if close else '')
        )
    return str((root / name).resolve())


__all__ = ['__version__', 'compat', 'config_path', 'datasets', 'engine', 'model_config', 'models']
