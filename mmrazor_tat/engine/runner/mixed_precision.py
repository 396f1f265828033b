"""Automatic mixed precision, asked for and checked before anything is built."""

import math

import torch
from mmengine import Config
from mmengine.device import (
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)

from ...utils.config_settings import type_name

AMP = 'AmpOptimWrapper'
_DTYPES = ('float16', 'bfloat16')


def use_amp(cfg: Config) -> None:
    """Turn a config's ``optim_wrapper`` into mmengine's ``AmpOptimWrapper``, in place.

    The loss scale is dynamic where the config names none, and the dtype torch's, float16, where
    ``optim_wrapper.dtype`` is not set.

    Raises:
        ValueError: the wrapper is of another type than ``OptimWrapper``.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', AMP) or not wrapper:
        found = repr(kind) if wrapper else 'missing'
        raise ValueError(
            f"--amp turns an optim_wrapper of type 'OptimWrapper' into an {AMP!r}; here it is "
            f'{found}'
        )
    wrapper.type = AMP
    wrapper.setdefault('loss_scale', 'dynamic')


def check_amp(cfg: Config) -> None:
    """Raise ValueError where a config asks for mixed precision that cannot run here.

    mmengine asserts the same while it builds the optimizer, after models and weights were loaded.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if type_name(wrapper.get('type')) != AMP:
        return
    dtype = wrapper.get('dtype')
    if dtype is not None and str(dtype).removeprefix('torch.') not in _DTYPES:
        raise ValueError(f"optim_wrapper.dtype must be 'float16' or 'bfloat16', got {dtype!r}")
    _check_loss_scale(wrapper.get('loss_scale', 'dynamic'))
    if not (is_cuda_available() or is_npu_available() or is_mlu_available() or is_musa_available()):
        raise ValueError(
            f'mixed precision (--amp, or optim_wrapper.type={AMP!r}) needs a GPU, and torch finds '
            'none here: train without it'
        )
    is_bfloat16 = str(dtype).removeprefix('torch.') == 'bfloat16'
    if is_bfloat16 and is_cuda_available() and not torch.cuda.is_bf16_supported():
        raise ValueError(
            "optim_wrapper.dtype='bfloat16': this GPU does not have it, take 'float16'"
        )


def _check_loss_scale(scale) -> None:
    is_positive = isinstance(scale, float) and math.isfinite(scale) and scale > 0
    if scale == 'dynamic' or isinstance(scale, dict) or is_positive:
        return
    hint = f': write {float(scale)}' if type(scale) is int and scale > 0 else ''
    raise ValueError(
        "optim_wrapper.loss_scale must be 'dynamic', a float above 0, or a dict of the arguments "
        f'of torch.amp.GradScaler, got {scale!r}{hint}'
    )
