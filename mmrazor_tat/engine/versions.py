"""The versions of the packages at hand."""

import platform
from importlib import import_module

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmrazor', 'mmrazor_tat')


def versions(*more: str) -> dict[str, str]:
    """Of Python, of :data:`PACKAGES`, and of ``more``, by the name of the module."""
    found = {name: str(import_module(name).__version__) for name in (*PACKAGES, *more)}
    return {'python': platform.python_version(), **found}
