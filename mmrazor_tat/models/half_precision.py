"""Losses that know nothing of half precision, on half-precision records."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..functional import full_precision


def in_full_precision(loss: nn.Module, arguments: dict[str, Any]) -> Any:
    """A loss of half-precision records, computed in float32, without autocast.

    Ours see to that themselves. MMRazor's add up squares in the dtype that they are given: in
    float16 the sum over a map is infinite from 65,504 on.
    """
    tensors = [x for value in arguments.values() for x in _tensors(value)]
    if not tensors:
        return loss(**arguments)
    with full_precision(tensors[0]):
        return loss(**{key: _at_least_float32(value) for key, value in arguments.items()})


def _tensors(record: Any) -> Iterator[Tensor]:
    for x in record if isinstance(record, (list, tuple)) else (record,):
        if isinstance(x, Tensor):
            yield x


def _at_least_float32(record: Any) -> Any:
    """A map, or the list of several; anything else stays as it is."""
    if type(record) in (list, tuple):
        return type(record)(map(_at_least_float32, record))
    is_half = isinstance(record, Tensor) and record.dtype in (torch.float16, torch.bfloat16)
    return record.float() if is_half else record
