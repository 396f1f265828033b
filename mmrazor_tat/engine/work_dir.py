"""Folders of runs: whether one holds a log, and where a run was meant instead."""

from pathlib import Path

from .run_log import log_files

_LOG = '*/vis_data/scalars.json'
# OUT/runs/NAME/seed0 of a suite.
_DEPTH = 3
_SHOWN = 10


def check_work_dir(folder: Path) -> None:
    """Raise FileNotFoundError unless a folder is the work dir of a run; names those that fit."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'there is no folder {str(folder)!r} (looked from {Path.cwd()})')
    if log_files(folder):
        return
    error = f'{str(folder)!r} is no work dir of a run: there is no {folder / _LOG}'
    if (folder / 'vis_data' / 'scalars.json').is_file():
        error += f'; it is one start of {str(folder.absolute().parent)!r}, which fits'
    elif fitting := work_dirs_below(folder):
        more = f' and {len(fitting) - _SHOWN} more' if len(fitting) > _SHOWN else ''
        error += f'; below it fit {", ".join(map(str, fitting[:_SHOWN]))}{more}'
    raise FileNotFoundError(error)


def work_dirs_below(folder: Path) -> list[Path]:
    """Those of runs, at most three levels deep, as in the folder of a suite."""
    logs = [log for n in range(1, _DEPTH + 1) for log in folder.glob('*/' * n + _LOG)]
    return sorted({log.parent.parent.parent for log in logs})
