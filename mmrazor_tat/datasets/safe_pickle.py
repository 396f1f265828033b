"""Pickles of safe content, read without running anything that a file may hold."""

import io
import pickle
from pathlib import Path
from typing import Any

from ..compat.safe_unpickler import RefusedError, stand_in
from ..utils.archives import DataError


class PickledCodeError(DataError):
    """A pickle asks for more than safe content; nothing of it was run."""


def load_safe(content: bytes, path: Path) -> Any:
    """Unpickle dicts, lists, numbers, text, bytes and numpy arrays of numbers, and nothing else.

    Text that Python 2 wrote comes as bytes, as with ``pickle.load(file, encoding='bytes')``.

    Args:
        content: of the file.
        path: of the file, for the errors.

    Raises:
        PickledCodeError: the pickle names anything else, e.g. a function to call.
        DataError: it is no pickle, or damaged.
    """
    try:
        return _SafeUnpickler(io.BytesIO(content), encoding='bytes').load()
    except RefusedError as error:
        raise PickledCodeError(
            f'{path} is refused: its pickle asks for {error}, and only safe content (dicts, lists, '
            'numbers, text, bytes, numpy arrays) is read; nothing of it was run'
        ) from None
    # A damaged pickle makes its opcodes raise nearly anything.
    except Exception as error:
        reason = str(error).partition('\n')[0] or type(error).__name__
        raise DataError(
            f'{path} cannot be read ({reason}): it is damaged, truncated or no pickle'
        ) from error


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = stand_in(module, name)
        if found is None:
            raise RefusedError(f'{module}.{name}')
        return found

    def persistent_load(self, key: Any) -> Any:
        raise RefusedError('an object outside of it')
