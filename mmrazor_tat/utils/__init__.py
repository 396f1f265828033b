"""What every room leans on: configs, files, work dirs, networks of a config, the command line."""
