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
from torch._weights_only_unpickler import _get_allowed_globals


def _refuse(what: str) -> None:
    raise pickle.UnpicklingError(f'Unsupported global: GLOBAL {what}')


# What the pickle of an array calls is done here in its place: numpy's own functions would believe
# whatever a file says of the memory of a type (its size, whether it holds references).


class _Type:
    """What a pickle says of a dtype: its name, then, in a state of eight parts, its byte order."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        self.name, self.order = _text(name), '='

    def __setstate__(self, state: tuple) -> None:
        self.order = _text(state[1])

    def build(self) -> np.dtype:
        if not re.fullmatch('b1|[iuf][1248]', self.name) or self.order not in tuple('<>=|'):
            _refuse(f'an array of the type {self.order}{self.name}')
        return np.dtype(self.order + self.name)


class _Array(np.ndarray):
    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, buffer = state
        array = _from_buffer(buffer, dtype, shape, 'F' if fortran else 'C')
        super().__setstate__((1, array.shape, array.dtype, bool(fortran), bytes(buffer)))

    def __reduce_ex__(self, protocol: int) -> tuple:
        return self.view(np.ndarray).__reduce_ex__(protocol)  # what is saved again is numpy's


def _from_buffer(buffer: Any, dtype: _Type, shape: Any, order: Any, *_: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype.build()).reshape(shape, order=_text(order))


def _encode(text: str, encoding: Any) -> bytes:
    if _text(encoding) != 'latin1':
        _refuse(f'the encoding {encoding!r}')
    return text.encode('latin1')


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


_STAND_INS: dict[str, Any] = {
    'numpy.ndarray': _Array,
    'numpy.dtype': _Type,
    'numpy.core.multiarray._reconstruct': lambda *_: _Array(0, np.uint8),  # its state comes next
    'numpy.core.multiarray.scalar': lambda dtype, buffer: np.frombuffer(buffer, dtype.build())[0],
    'numpy.core.numeric._frombuffer': _from_buffer,  # protocol 5
    '_codecs.encode': _encode,  # bytes, as Python 3 writes them for Python 2
}


def load_safe(load: Callable, more: dict[str, Any], *args, **kwargs) -> Any:
    """``torch.load`` of tensors, safe content and the types and functions of ``more`` (by the
    dotted name in a file), and of nothing else: pickle.UnpicklingError."""
    if tarfile.is_tarfile(args[0] if args else kwargs['f']):
        _refuse('of a file in the old tar layout')
    # This release's own list, and what later ones have added.
    later = (Counter, bytearray, complex, set, torch.device)
    added = {f'{cls.__module__}.{cls.__qualname__}': cls for cls in later}
    allowed = {**added, **_get_allowed_globals(), **more, **_STAND_INS}
    unpickler = type('Unpickler', (_SafeUnpickler,), {'allowed': allowed})
    module = types.SimpleNamespace(
        __name__='pickle',
        Unpickler=unpickler,
        load=lambda file, **options: unpickler(file, **options).load(),
    )
    kwargs = {k: v for k, v in kwargs.items() if k not in ('weights_only', 'pickle_module')}
    with patch.object(torch.serialization, '_is_torchscript_zip', _refuse_torchscript):
        return load(*args[:2], **kwargs, pickle_module=module)


_IS_TORCHSCRIPT = torch.serialization._is_torchscript_zip


def _refuse_torchscript(zip_file) -> bool:
    if _IS_TORCHSCRIPT(zip_file):
        _refuse('of a TorchScript archive')
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
        except Exception as error:  # a damaged pickle makes its opcodes raise nearly anything
            raise pickle.UnpicklingError(f'{type(error).__name__}: {error}') from error

    def find_class(self, module: str, name: str) -> Any:
        # Protocol 2, torch's, has Python 2's name; numpy 2 has another one than numpy 1.
        module = re.sub('^__builtin__$', 'builtins', module).replace('numpy._core.', 'numpy.core.')
        if f'{module}.{name}' not in self.allowed:
            _refuse(f'{module}.{name}')
        return self.allowed[f'{module}.{name}']

    def check(self, value: Any) -> None:
        if not any(value is one for one in self.allowed.values()):
            _refuse(f'call of {value!r}')

    def check_kind(self, value: Any, *kinds: type) -> None:
        # torch's own did not look before 2.10, and damaged memory so (CVE-2026-24747).
        if type(value) not in kinds:
            raise pickle.UnpicklingError(f'Unsupported operand for {type(value).__name__}')


_FILLED = (torch.Tensor, torch.nn.Parameter, OrderedDict)
_DICTS = (dict, OrderedDict, Counter)


def _check_build(u: _SafeUnpickler) -> None:
    if type(u.stack[-2]) not in _FILLED:
        u.check(type(u.stack[-2]))


# By opcode, what is looked at before Python's own does it.
_CHECKS: dict[bytes, Callable] = {
    pickle.REDUCE: lambda u: u.check(u.stack[-2]),
    pickle.NEWOBJ: lambda u: u.check(u.stack[-2]),
    pickle.BUILD: _check_build,
    pickle.SETITEM: lambda u: u.check_kind(u.stack[-3], *_DICTS),
    pickle.SETITEMS: lambda u: u.check_kind(u.metastack[-1][-1], *_DICTS),
    pickle.APPEND: lambda u: u.check_kind(u.stack[-2], list),
    pickle.APPENDS: lambda u: u.check_kind(u.metastack[-1][-1], list),
    pickle.ADDITEMS: lambda u: u.check_kind(u.metastack[-1][-1], set),
}
# Other ways to call, and to find what was registered elsewhere.
_REFUSED = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


def _refused(_: _SafeUnpickler) -> None:
    raise pickle.UnpicklingError('Unsupported operand: no checkpoint of torch has it')


for _code, _check in _CHECKS.items():
    _then = pickle._Unpickler.dispatch[_code[0]]
    _SafeUnpickler.dispatch[_code[0]] = lambda u, check=_check, then=_then: (check(u), then(u))
for _code in _REFUSED:
    _SafeUnpickler.dispatch[_code[0]] = _refused
