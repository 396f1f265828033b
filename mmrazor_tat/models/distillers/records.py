"""The names of records and of losses, and what modules recorders may read."""

import contextlib
from collections.abc import Callable, Iterator
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

    Those of functions and methods are left to mmrazor: their source is a Python path.

    Args:
        who: 'student' or 'teacher', for the message.
        recorders: mmrazor recorders by name.
        model: the model they will record from.
    """
    for name, recorder in recorders.items():
        if isinstance(recorder, ModuleOutputsRecorder):  # those of inputs are derived from it
            known, noun = [key for key, _ in model.named_modules() if key], 'module'
        elif isinstance(recorder, ParameterRecorder):
            known, noun = [key for key, _ in model.named_parameters()], 'parameter'
        else:
            continue
        where = f"{who}_recorders['{name}'] has source {recorder.source!r}, "
        if recorder.source not in known:
            nearest = nearest_names(str(recorder.source), known)
            text = f'which is no {noun} of the {who} ({type(model).__name__}). Nearest: {nearest}'
            raise ValueError(where + text)
        if noun == 'module' and isinstance(model.get_submodule(recorder.source), nn.SyncBatchNorm):
            raise ValueError(
                f'{where}a SyncBN: in a single process the runner replaces it after the recorders '
                'are set, and nothing would be recorded. Take the convolution before it, or the '
                "activation after it with type='PreActivation'"
            )


def check_loss_names(who: str, names: list[str], model: nn.Module) -> None:
    """Raise ValueError unless all ``names`` are distillation losses of ``model``."""
    known = list(getattr(getattr(model, 'distiller', None), 'loss_forward_mappings', ()))
    for name in names:
        if name not in known:
            raise ValueError(
                f'{who}[{name!r}] is no distillation loss of this model; '
                + (f'nearest: {nearest_names(name, known)}' if known else 'it has none')
            )


def nearest_names(source: str, known: list[str]) -> str:
    """Five names most like ``source``; where none is, top-level ones."""
    nearest = get_close_matches(source, known, n=5, cutoff=0.5)
    return ', '.join(map(repr, nearest or [key for key in known if '.' not in key][:5]))


@contextlib.contextmanager
def replaced_records(distiller: nn.Module, replace: Callable[[tuple, Any], Any]) -> Iterator[None]:
    """Inside, ``replace(key, data)`` stands for each record; key: (recorder, from_student, ...)."""
    original = distiller.raw_record

    def raw_record(recorder, from_student, *place):
        if not isinstance(recorder, str):
            return [raw_record(one, from_student, *place) for one in recorder]
        data = original(recorder, from_student, *place)
        return replace((recorder, from_student, *place), data)

    distiller.raw_record = raw_record
    try:
        yield
    finally:
        del distiller.raw_record


def in_full_precision(loss: nn.Module, arguments: dict[str, Any]) -> Any:
    """A loss of half-precision records, computed in float32, without autocast.

    MMRazor's add up squares in the dtype that they are given: in float16 the sum over a map is
    infinite from 65,504 on. And they take views of maps, which channels_last ones (those of
    transformers, too) do not have.
    """
    lists = [of if isinstance(of, (list, tuple)) else [of] for of in arguments.values()]
    tensors = [x for of in lists for x in of if isinstance(x, Tensor)]
    with full_precision(tensors[0]) if tensors else contextlib.nullcontext():
        return loss(**{key: at_least_float32(value) for key, value in arguments.items()})


def at_least_float32(record: Any) -> Any:
    """A map, or the list of several, out of half precision; anything else stays as it is."""
    if type(record) in (list, tuple):
        return type(record)(map(at_least_float32, record))
    if not isinstance(record, Tensor):
        return record
    is_half = record.dtype in (torch.float16, torch.bfloat16)
    return (record.float() if is_half else record).contiguous()
