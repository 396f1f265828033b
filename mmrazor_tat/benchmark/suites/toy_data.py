"""Data that a suite has drawn for itself."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from ...datasets.toy_cifar import write_toy_cifar
from ...datasets.toy_scenes import write_toy_voc
from ...utils.files import write_atomically
from .options import SuiteError, nearest

# What draws each layout, and what the progress calls it.
_WRITERS = dict(voc=(write_toy_voc, 'scenes'), cifar=(write_toy_cifar, 'images'))
_DEFAULT = 'voc'


def read_toy_data(value: Any) -> Optional[dict[str, Any]]:
    """``toy_data`` of a suite: arguments of the writer of its 'layout', but ``root``; a copy.

    The layout is 'voc' (:func:`write_toy_voc`; not named in the copy) or 'cifar'
    (:func:`write_toy_cifar`). SuiteError for what is no dict, or an argument that its writer has
    not.
    """
    if value is None:
        return None
    layout = value.get('layout', _DEFAULT) if isinstance(value, dict) else None
    if not isinstance(layout, str) or layout not in _WRITERS:
        known = '; '.join(f'layout={name!r}: {", ".join(_arguments(name))}' for name in _WRITERS)
        raise SuiteError(f'toy_data must be a dict ({known}), got {value!r}')
    given = {key: item for key, item in value.items() if key != 'layout'}
    for key in given:
        if key not in _arguments(layout):
            near = nearest(key, _arguments(layout))
            raise SuiteError(f'toy_data of layout {layout!r} has no key {key!r}{near}')
    return given if layout == _DEFAULT else dict(layout=layout, **given)


def make_toy_data(toy_data: dict[str, Any], folder: Path, say: Callable[[str], None]) -> None:
    """Draw the data that :func:`read_toy_data` gave, once.

    SuiteError for a value that does not fit, or where other data lies there.
    """
    note = folder / 'toy_data.json'  # written last: there only if all of the data is
    asked = json.dumps(toy_data, indent=1, sort_keys=True) + '\n'
    arguments = dict(toy_data)
    write, name = _WRITERS[arguments.pop('layout', _DEFAULT)]
    if note.exists():
        if note.read_text(encoding='utf-8') != asked:
            raise SuiteError(
                f'{folder} holds other {name} than toy_data asks for: choose another --out or '
                'delete that folder'
            )
        return
    say(f'writing the {name} to {folder}')
    try:
        write(folder, **arguments)
    except ValueError as error:
        raise SuiteError(f'toy_data: {error}') from error
    write_atomically(note, asked)


def _arguments(layout: str) -> list[str]:
    write, _ = _WRITERS[layout]
    return [name for name in inspect.signature(write).parameters if name != 'root']
