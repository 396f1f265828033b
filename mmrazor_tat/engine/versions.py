"""The versions of the packages at hand."""

import platform
import sys
from importlib import import_module

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmrazor', 'mmrazor_tat')
# Named only where they are used: they need not be installed, and most runs do without.
OPTIONAL = ('mmpretrain',)


def versions(*more: str) -> dict[str, str]:
    """Of Python, of :data:`PACKAGES`, and of ``more``, by the name of the module.

    Those of :data:`OPTIONAL` that this process has imported are among them.
    """
    names = (*PACKAGES, *filter(sys.modules.get, OPTIONAL), *more)
    found = {name: str(import_module(name).__version__) for name in names}
    return {'python': platform.python_version(), **found}


def loaded_versions() -> dict[str, str | None]:
    """Of :data:`PACKAGES`, None where one is not imported, and of what is used of the others."""
    names = (*PACKAGES, *filter(sys.modules.get, OPTIONAL))
    return {name: getattr(sys.modules.get(name), '__version__', None) for name in names}
