"""Checkpoints are read as safe content, whoever of the packages below us calls ``torch.load``.

OpenMMLab's loader leaves it to torch's default, which runs pickled code up to torch 2.5, and its
OneDL fork falls back to running it. ``compat.apply()`` calls :func:`read_safely_by_default`.
"""

import contextlib
import errno
import functools
import json
import os
import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.utils import digit_version

# What the ``weights_only`` contexts that are open ask for; the innermost one rules.
_asked: list[bool] = []
_CODE = 'GLOBAL|Unsupported (global|class)|Cannot use .*weights_only'
_TRUST = (
    '; if it is your own file, --trust-checkpoints of our tools (of a teacher '
    'model.trust_teacher_ckpt=True, in Python mmrazor_tat.compat.trust_checkpoints()) loads it, '
    'code and all'
)


class UntrustedCheckpointError(ValueError, pickle.UnpicklingError):
    """A checkpoint holds more than safe content, or is damaged; nothing of it was run."""


@contextlib.contextmanager
def weights_only(value: bool = True) -> Iterator[None]:
    """Inside, every ``torch.load`` refuses (or, with False, runs) pickled code, whoever calls it.

    What mmengine puts in its own checkpoints is let through; for more torch raises UnpicklingError.
    The innermost context rules.
    """
    original = torch.load
    if not _asked:
        torch.load = functools.wraps(original)(functools.partial(_load, original))
    _asked.append(value)
    try:
        yield
    finally:
        _asked.pop()
        if not _asked:
            torch.load = original


def trust_checkpoints(trust: bool = True) -> contextlib.AbstractContextManager:
    """With True, mmengine's loader runs the code that a checkpoint may hold, inside.

    For a tool's ``--trust-checkpoints``: files of one's own. A teacher has a flag for itself,
    ``model.trust_teacher_ckpt``.
    """
    return weights_only(False) if trust else contextlib.nullcontext()


def _load(load, *args, **kwargs) -> Any:
    """``torch.load`` as the innermost context asks for."""
    if not _asked[-1]:
        return load(*args, **{**kwargs, 'weights_only': False})
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        from .safe_unpickler import load_safe

        return load_safe(load, _mmengine_types(), *args, **kwargs)
    core = np._core if hasattr(np, '_core') else np.core
    of_numpy = [core.multiarray.scalar, core.multiarray._reconstruct, np.ndarray, np.dtype]
    of_numpy += {type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', 'u4', 'u8', 'bool')}
    named = [(value, name) for name, value in _mmengine_types().items()]
    with torch.serialization.safe_globals([*named, *of_numpy]):
        return load(*args, **{**kwargs, 'weights_only': True})


def _mmengine_types() -> dict[str, Any]:
    """What mmengine puts in a checkpoint besides numpy's: log buffers, a OneCycleLR's curve."""
    types = (HistoryBuffer, OneCycleParamScheduler)
    # Both pickle their methods as getattr(class, name): these alone are allowed.
    named = {f'{cls.__module__}.{cls.__qualname__}': cls for cls in types}
    return {**named, 'builtins.getattr': _method_of_mmengine}


def _method_of_mmengine(owner, name: str):
    is_statistic = owner is HistoryBuffer and not name.startswith('_')
    curves = ('_annealing_cos', '_annealing_linear')
    if not is_statistic and not (owner is OneCycleParamScheduler and name in curves):
        raise pickle.UnpicklingError(f'Unsupported GLOBAL getattr({owner!r}, {name!r})')
    return getattr(owner, name)


def read_safely_by_default() -> None:
    """Let mmengine's loader (Runner, ``init_cfg``, ``init_model``) read safe content alone.

    Outside of a ``weights_only`` context, that is; there, what that asks for holds. What cannot be
    read is an UntrustedCheckpointError, or a FileNotFoundError, of one line.
    """
    loader = mmengine_checkpoint.CheckpointLoader
    original = loader.load_checkpoint.__func__
    if getattr(original, 'cured', False):
        return

    @functools.wraps(original)
    def load_checkpoint(cls, filename, *args, **kwargs):
        name = f'checkpoint {str(filename)!r}'
        is_path = '://' not in str(filename)
        if is_path and not os.path.isfile(os.path.expanduser(str(filename))):
            raise FileNotFoundError(f'there is no file {filename!r} (looked from {os.getcwd()!r})')
        try:
            if is_path and str(filename).endswith('.safetensors'):
                return _read_safetensors(os.path.expanduser(str(filename)))
            with contextlib.nullcontext() if _asked else weights_only():
                return original(cls, filename, *args, **kwargs)
        except ModuleNotFoundError as error:  # torchvision:// and the like
            missing = f'{name} needs {error.name}, which is not installed'
            raise UntrustedCheckpointError(missing) from error
        except Exception as error:  # bytes that are no checkpoint make torch raise nearly anything
            if not is_path and not isinstance(error, pickle.UnpicklingError):
                raise FileNotFoundError(f'{name} cannot be had: {error}') from error
            raise UntrustedCheckpointError(f'{name} {_what_is_wrong(error)}') from error

    load_checkpoint.cured = True
    loader.load_checkpoint = classmethod(load_checkpoint)
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):  # the fork's, which falls back to code
        unsafe = mmengine_checkpoint._safe_torch_load
        mmengine_checkpoint._safe_torch_load = lambda file, map_location=None, weights_only=None: (
            torch.load(file, map_location=map_location)
            if _asked
            else unsafe(file, map_location, weights_only)
        )


def _read_safetensors(path: str) -> dict:
    """As a checkpoint; the classes are those that an export for the hubs has noted."""
    from safetensors import safe_open

    with safe_open(path, 'pt') as file:
        meta = json.loads((file.metadata() or {}).get('dataset_meta', '{}'))
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return dict(state_dict=weights, meta=dict(dataset_meta=meta) if meta else {})


def read_checkpoint(checkpoint: str, trust: bool = False) -> dict:
    """What a checkpoint holds, on the CPU: a file, or anything that mmengine's loader takes (a URL,
    ``open-mmlab://...``). ``trust`` loads one that holds more than safe content, which can run any
    code, as inside ``trust_checkpoints()``.

    FileNotFoundError where it is not there, UntrustedCheckpointError where it is damaged, no
    checkpoint, or holds code and is not trusted.
    """
    with trust_checkpoints(trust):
        loader = mmengine_checkpoint.CheckpointLoader
        return loader.load_checkpoint(str(checkpoint), map_location='cpu')


def _what_is_wrong(error: Exception) -> str:
    """One line on why a file was not read, without torch's advice to load it unsafely."""
    text = str(error) or type(error).__name__
    found = re.search(r'(unsupported GLOBAL|Unsupported (global|class)).*', text)
    line = (found.group(0) if found else f'{type(error).__name__}: {text.splitlines()[0]}')[:300]
    line = re.sub(r' (was not an allowed|Please use) .*', '', line)
    if re.search(_CODE, text):  # the last of TorchScript archives and of the tar layout of long ago
        return f'holds pickled code besides weights, which is refused{_TRUST}: {line}'
    if isinstance(error, EOFError) or getattr(error, 'errno', None) == errno.EINVAL:
        line = 'the file is empty, or ends too early'  # torch seeks before the start of a short one
    elif 'central directory' in text:
        line = 'its end is missing (was it cut off in writing or copying?)'
    elif isinstance(error, LookupError) or re.search('Unsupported operand|invalid load key', text):
        line = 'it is no file of torch.save'
    return f'is damaged, or no checkpoint: {line}'
