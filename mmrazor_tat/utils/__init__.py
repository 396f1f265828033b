"""What every room leans on: configs, files, work dirs, networks of a config, the command line."""


def register_all_modules() -> None:
    """``mmengine.hub.get_model`` calls it; the import of the package has registered everything."""
