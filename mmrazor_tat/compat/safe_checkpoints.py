"""Checkpoints are read as safe content, whoever of the packages below us calls ``torch.load``.

OpenMMLab's loader leaves it to torch's default, which runs pickled code up to torch 2.5, and its
OneDL fork falls back to running it. ``compat.apply()`` calls :func:`read_safely_by_default`.
"""

import contextlib
import errno
import functools
import pickle
import re
from collections.abc import Callable
from typing import Any

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.utils import digit_version

# What the ``weights_only`` contexts that are open ask for; the innermost one rules.
_asked: list[bool] = []


class UntrustedCheckpointError(ValueError, pickle.UnpicklingError):
    """A checkpoint holds more than safe content, or is damaged; nothing of it was run."""


@contextlib.contextmanager
def weights_only(value: bool = True):
    """Inside, every ``torch.load`` refuses (or, with False, runs) pickled code, whoever calls it.

    What mmengine puts in its own checkpoints is let through. The innermost context rules.

    Raises:
        pickle.UnpicklingError: from ``torch.load``, where a file holds more than safe content.
    """
    original = torch.load
    if not _asked:
        torch.load = _obeying(original)
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


def read_safely_by_default() -> None:
    """Let mmengine's loader (Runner, ``init_cfg``, ``init_model``) read safe content alone.

    Outside of a ``weights_only`` context, that is; there, what that asks for holds.
    """
    loader = mmengine_checkpoint.CheckpointLoader
    original = loader.load_checkpoint.__func__
    if getattr(original, 'cured', False):
        return

    @functools.wraps(original)
    def load_checkpoint(cls, filename, *args, **kwargs):
        if _asked:
            return original(cls, filename, *args, **kwargs)
        try:
            with weights_only():
                return original(cls, filename, *args, **kwargs)
        except (pickle.UnpicklingError, RuntimeError) as error:
            if not isinstance(error, pickle.UnpicklingError) and not _holds_code(error):
                raise
            raise UntrustedCheckpointError(
                f'checkpoint {str(filename)!r} {what_is_wrong(error, advice=_ADVICE)}'
            ) from error

    load_checkpoint.cured = True
    loader.load_checkpoint = classmethod(load_checkpoint)
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        _do_not_announce_a_fall_back()


_ADVICE = (
    '; if it is your own file, --trust-checkpoints of our tools (in Python: '
    'mmrazor_tat.compat.trust_checkpoints()) loads it, code and all'
)


def what_is_wrong(error: Exception, advice: str = '') -> str:
    """One line on why a file was not read, without torch's advice to load it unsafely.

    Args:
        error: what ``torch.load`` raised inside ``weights_only()``.
        advice: how the caller can be told to trust a file; follows 'which is refused'.
    """
    text = str(error) or type(error).__name__
    found = re.search(r'(unsupported GLOBAL|Unsupported (global|class)).*', text)
    line = (found.group(0) if found else f'{type(error).__name__}: {text.splitlines()[0]}')[:300]
    line = re.sub(r' (was not an allowed|Please use) .*', '', line)
    if _holds_code(error):
        return f'holds pickled code besides weights, which is refused{advice}: {line}'
    if isinstance(error, EOFError) or getattr(error, 'errno', None) == errno.EINVAL:
        line = 'the file is empty, or ends too early'  # torch seeks before the start of a short one
    elif 'central directory' in text:
        line = 'its end is missing (was it cut off in writing or copying?)'
    elif 'Unsupported operand' in text or 'invalid load key' in text:
        line = 'it is no file of torch.save'
    return f'is damaged, or no checkpoint: {line}'


def trusts_checkpoints() -> bool:
    """Whether a context is open that runs what a checkpoint may hold."""
    return bool(_asked) and not _asked[-1]


def _holds_code(error: Exception) -> bool:
    # The latter of TorchScript archives and of the tar layout of long ago.
    return bool(
        re.search('GLOBAL|Unsupported (global|class)|Cannot use .*weights_only', str(error))
    )


def _obeying(load: Callable) -> Callable:
    """``torch.load`` as the innermost context asks for."""

    @functools.wraps(load)
    def obeying(*args, **kwargs):
        if not _asked[-1]:
            return load(*args, **{**kwargs, 'weights_only': False})
        if not _takes_names():
            from .safe_unpickler import load_safe

            return load_safe(load, _mmengine_types(), *args, **kwargs)
        with torch.serialization.safe_globals(_mmengine_globals()):
            return load(*args, **{**kwargs, 'weights_only': True})

    return obeying


def _do_not_announce_a_fall_back() -> None:
    """The OneDL fork logs that it falls back to running code: that load is refused here."""
    original = mmengine_checkpoint._safe_torch_load

    @functools.wraps(original)
    def safe_torch_load(file, map_location=None, weights_only=None):
        return (
            torch.load(file, map_location=map_location)
            if _asked
            else original(file, map_location, weights_only)
        )

    mmengine_checkpoint._safe_torch_load = safe_torch_load


def _takes_names() -> bool:
    """Whether torch takes (function, name in the file) as an allowed global: from 2.6 on."""
    return digit_version(torch.__version__) >= digit_version('2.6.0')


def _mmengine_types() -> dict[str, Any]:
    """What mmengine puts in a checkpoint besides numpy's: log buffers, a OneCycleLR's curve."""
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    both = (HistoryBuffer, OneCycleParamScheduler)
    types = {f'{cls.__module__}.{cls.__qualname__}': cls for cls in both}
    # Both pickle their methods as getattr(class, name): these alone are allowed.
    return {**types, 'builtins.getattr': _method_of_mmengine}


def _mmengine_globals() -> list:
    """The same and numpy's values, as torch takes it."""
    import numpy as np

    core = np._core if hasattr(np, '_core') else np.core
    return [
        *((value, name) for name, value in _mmengine_types().items()),
        core.multiarray.scalar,
        core.multiarray._reconstruct,
        np.ndarray,
        np.dtype,
        *{type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', 'u4', 'u8', 'bool')},
    ]


def _method_of_mmengine(owner, name: str):
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    is_statistic = owner is HistoryBuffer and not name.startswith('_')
    curves = ('_annealing_cos', '_annealing_linear')
    if not is_statistic and not (owner is OneCycleParamScheduler and name in curves):
        raise pickle.UnpicklingError(f'Unsupported GLOBAL getattr({owner!r}, {name!r})')
    return getattr(owner, name)
