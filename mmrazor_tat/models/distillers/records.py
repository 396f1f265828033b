"""The names of records and of losses, and what modules recorders may read."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import torch
from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder, ParameterRecorder
from torch import Tensor, nn

from ...functional import full_precision


def name_for_log(loss: str) -> str:
    """The name of a loss without 'loss', by which mmengine chooses what it adds up and averages."""
    return loss.replace('loss', '').strip('_')


def recorder_names(record: dict) -> list[str]:
    """The names of a record of ``loss_forward_mappings``, which has one or a list of them."""
    names = record['recorder']
    return [names] if isinstance(names, str) else list(names)


def check_sources(who: str, recorders: dict, model: nn.Module) -> None:
    """Raise ValueError for a recorder whose source the model does not have.

    Args:
        who: 'student' or 'teacher', for the message.
        recorders: mmrazor recorders by name. Those of functions and methods are left to mmrazor:
            their source is a Python path, not a name within the model.
        model: the model they will record from.
    """
    for name, recorder in recorders.items():
        if isinstance(recorder, ModuleOutputsRecorder):  # those of inputs are derived from it
            known, noun = [key for key, _ in model.named_modules() if key], 'module'
        elif isinstance(recorder, ParameterRecorder):
            known, noun = [key for key, _ in model.named_parameters()], 'parameter'
        else:
            continue
        if not isinstance(recorder.source, str):
            raise ValueError(
                f"{who}_recorders['{name}'].source must be the name of a {noun}, got "
                f'{recorder.source!r}'
            )
        if recorder.source not in known:
            raise ValueError(
                f"{who}_recorders['{name}'] has source {recorder.source!r}, which is no {noun} "
                f'of the {who} ({type(model).__name__}). Nearest: '
                + ', '.join(repr(key) for key in nearest_names(recorder.source, known))
            )
        if noun == 'module' and isinstance(model.get_submodule(recorder.source), nn.SyncBatchNorm):
            raise ValueError(
                f"{who}_recorders['{name}'] has source {recorder.source!r}, a SyncBN: in a single "
                'process the runner replaces it after the recorders are set, and nothing would be '
                'recorded. Take the convolution before it, or the activation after it with '
                "type='PreActivation'"
            )


def nearest_names(source: str, known: list[str], count: int = 5) -> list[str]:
    """The names most like ``source``; where none is, the top-level ones."""
    nearest = get_close_matches(source, known, n=count, cutoff=0.5)
    return nearest or [key for key in known if '.' not in key][:count]


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
