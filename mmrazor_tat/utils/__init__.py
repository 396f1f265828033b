"""What every room leans on: configs, files, work dirs, networks of a config, the command line."""

import importlib


def register_all_modules() -> None:
    """``mmengine.hub.get_model`` calls it; the import registers everything."""
    importlib.import_module('mmrazor_tat')
