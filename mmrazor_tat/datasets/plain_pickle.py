"""Pickles of plain data, read without running anything that a file may hold."""

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from .layouts import DataError


class PickledCodeError(DataError):
    """A pickle asks for more than plain data; nothing of it was run."""


def load_plain(content: bytes, path: Path) -> Any:
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
        return _PlainUnpickler(io.BytesIO(content), encoding='bytes').load()
    except RefusedError as error:
        raise PickledCodeError(
            f'{path} is refused: its pickle asks for {error}, and only plain data (dicts, lists, '
            'numbers, text, bytes, numpy arrays) is read; nothing of it was run'
        ) from None
    # A damaged pickle makes its opcodes raise nearly anything.
    except Exception as error:
        reason = str(error).partition('\n')[0] or type(error).__name__
        raise DataError(
            f'{path} cannot be read ({reason}): it is damaged, truncated or no pickle'
        ) from error


class RefusedError(Exception):
    """What a pickle asks for, and does not get."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # numpy 1 and Python 2 wrote numpy.core, numpy 2 writes numpy._core.
        found = STAND_INS.get((module.replace('numpy._core.', 'numpy.core.'), name))
        if found is None:
            raise RefusedError(f'{module}.{name}')
        return found

    def persistent_load(self, key: Any) -> Any:
        raise RefusedError('an object outside of it')


# What the pickle of an array calls is done here in its place: numpy's own functions would believe
# whatever a file says of the memory of a type (its size, whether it holds references).


class _Type:
    """What a pickle says of a dtype: its name, then, in a state of eight parts, its byte order."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        self.name = _text(name)
        self.order = '='

    def __setstate__(self, state: tuple) -> None:
        self.order = _text(state[1])

    def build(self) -> np.dtype:
        if not re.fullmatch('b1|[iuf][1248]', self.name) or self.order not in tuple('<>=|'):
            raise RefusedError(f'an array of the type {self.order}{self.name}')
        return np.dtype(self.order + self.name)


class _Array(np.ndarray):
    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, buffer = state
        array = _from_buffer(buffer, dtype, shape, 'F' if fortran else 'C')
        super().__setstate__((1, array.shape, array.dtype, bool(fortran), bytes(buffer)))

    def __reduce_ex__(self, protocol: int) -> tuple:
        return self.view(np.ndarray).__reduce_ex__(protocol)  # what is saved again is numpy's


def _reconstruct(*_: Any) -> np.ndarray:
    return _Array(0, np.uint8)  # empty: its state comes next


def _from_buffer(buffer: Any, dtype: _Type, shape: Any, order: Any, *_: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype.build()).reshape(shape, order=_text(order))


def _scalar(dtype: _Type, buffer: bytes) -> np.generic:
    return np.frombuffer(buffer, dtype.build(), count=1)[0]


def _encode(text: str, encoding: Any) -> bytes:
    if _text(encoding) != 'latin1':
        raise RefusedError(f'the encoding {encoding!r}')
    return text.encode('latin1')


def _no_bytes() -> bytes:
    return b''


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


STAND_INS: dict[tuple[str, str], Any] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Type,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('numpy.core.numeric', '_frombuffer'): _from_buffer,  # protocol 5
    # Bytes as Python 3 writes them for Python 2, and when there are none.
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
}
