"""Reading a checkpoint without running what it may hold, for torch before 2.6.

There ``weights_only=True`` knows no list of allowed types, so it refuses what mmengine writes; it
hands TorchScript archives to ``torch.jit.load``, and files in the old tar layout can run code
nevertheless (CVE-2025-32434).
"""

import pickle
import re
import tarfile
import types
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch


class RefusedError(Exception):
    """What a pickle asks for, and does not get."""


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


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


STAND_INS: dict[tuple[str, str], Any] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Type,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('numpy.core.numeric', '_frombuffer'): _from_buffer,  # protocol 5
    ('_codecs', 'encode'): _encode,  # bytes, as Python 3 writes them for Python 2
}


def load_safe(load: Callable, more: dict[str, Any], *args, **kwargs) -> Any:
    """``torch.load`` of tensors, safe content and the types of ``more``, and of nothing else.

    Args:
        load: ``torch.load``.
        more: types and functions to allow, by the dotted name in a file.
        args, kwargs: of ``torch.load``; a ``weights_only`` among them is left out.

    Raises:
        pickle.UnpicklingError: the file asks for anything else, or is damaged.
    """
    file = args[0] if args else kwargs['f']
    if tarfile.is_tarfile(file):
        raise pickle.UnpicklingError('Unsupported global: GLOBAL of a file in the old tar layout')
    allowed = {**_allowed_by_torch(), **more}
    unpickler = type('Unpickler', (_SafeUnpickler,), {'allowed': allowed})
    module = types.SimpleNamespace(
        __name__='pickle',
        Unpickler=unpickler,
        load=lambda file, **options: unpickler(file, **options).load(),
    )
    kwargs = {k: v for k, v in kwargs.items() if k not in ('weights_only', 'pickle_module')}
    with patch.object(torch.serialization, '_is_torchscript_zip', _refuse_torchscript):
        return load(*args[:2], **kwargs, pickle_module=module)


def _allowed_by_torch() -> dict[str, Any]:
    """What torch itself allows; this release's list, and what later ones have added."""
    from torch._weights_only_unpickler import _get_allowed_globals

    added = (Counter, bytearray, complex, set, torch.device)
    return {
        **{f'{cls.__module__}.{cls.__qualname__}': cls for cls in added},
        **_get_allowed_globals(),
    }


_IS_TORCHSCRIPT = torch.serialization._is_torchscript_zip


def _refuse_torchscript(zip_file) -> bool:
    if _IS_TORCHSCRIPT(zip_file):
        raise pickle.UnpicklingError('Unsupported global: GLOBAL of a TorchScript archive')
    return False


class _SafeUnpickler(pickle._Unpickler):
    """Python's own unpickler: calls, makes and fills in what is allowed, and nothing else."""

    allowed: dict[str, Any]
    dispatch = dict(pickle._Unpickler.dispatch)

    def load(self) -> Any:
        try:
            return super().load()
        except (pickle.UnpicklingError, EOFError):
            raise
        except RefusedError as error:
            raise pickle.UnpicklingError(f'Unsupported global: GLOBAL {error}') from error
        except Exception as error:  # a damaged pickle makes its opcodes raise nearly anything
            raise pickle.UnpicklingError(f'{type(error).__name__}: {error}') from error

    def find_class(self, module: str, name: str) -> Any:
        # Protocol 2, torch's, has Python 2's name; numpy 2 has another one than numpy 1.
        module = 'builtins' if module == '__builtin__' else module
        found = STAND_INS.get((module.replace('numpy._core.', 'numpy.core.'), name))
        found = self.allowed.get(f'{module}.{name}') if found is None else found
        if found is None:
            raise pickle.UnpicklingError(f'Unsupported global: GLOBAL {module}.{name}')
        return found

    def _check(self, value: Any) -> None:
        allowed = (*self.allowed.values(), *STAND_INS.values())
        if not any(value is one for one in allowed):
            raise pickle.UnpicklingError(f'Unsupported global: GLOBAL call of {value!r}')

    def load_reduce(self) -> None:
        self._check(self.stack[-2])
        super().load_reduce()

    def load_newobj(self) -> None:
        self._check(self.stack[-2])
        super().load_newobj()

    def load_build(self) -> None:
        kind = type(self.stack[-2])
        if kind not in (torch.Tensor, torch.nn.Parameter, OrderedDict):
            self._check(kind)
        super().load_build()

    # torch's own did not look before 2.10, and damaged memory so (CVE-2026-24747).
    def _check_kind(self, value: Any, *kinds: type) -> None:
        if type(value) not in kinds:
            raise pickle.UnpicklingError(f'Unsupported operand for {type(value).__name__}')

    def load_setitem(self) -> None:
        self._check_kind(self.stack[-3], dict, OrderedDict, Counter)
        super().load_setitem()

    def load_setitems(self) -> None:
        self._check_kind(self.metastack[-1][-1], dict, OrderedDict, Counter)
        super().load_setitems()

    def load_append(self) -> None:
        self._check_kind(self.stack[-2], list)
        super().load_append()

    def load_appends(self) -> None:
        self._check_kind(self.metastack[-1][-1], list)
        super().load_appends()

    def load_additems(self) -> None:
        self._check_kind(self.metastack[-1][-1], set)
        super().load_additems()

    def load_refused(self) -> None:
        raise pickle.UnpicklingError('Unsupported operand: no checkpoint of torch has it')

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.APPEND[0]] = load_append
    dispatch[pickle.APPENDS[0]] = load_appends
    dispatch[pickle.ADDITEMS[0]] = load_additems
    # Other ways to call, and to find what was registered elsewhere.
    for _code in (
        pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4,
        pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
    ):  # fmt: skip
        dispatch[_code[0]] = load_refused
