"""A dry run of student, teacher and distiller: shapes are known and checked before training."""

import contextlib
from collections.abc import Iterator
from typing import Any, Union

import torch
from torch import Tensor, nn

from .distillers.records import recorder_names, replaced_records
from .forward import ModuleError, evaluating, input_channels, run


@torch.no_grad()
def probe(student: nn.Module, teacher: nn.Module, distiller: nn.Module, inputs: Tensor) -> None:
    """Run both models once, give the connectors and losses their channels and try every loss.

    A record of the student that inference does not fill (an auxiliary head, the data samples)
    cannot be looked at here; the losses that read it are left to the first iteration, and what
    reads that record needs channels of its own.

    Args:
        student, teacher: models whose ``forward(inputs, mode='tensor')`` runs the features.
        distiller: a ``SharedConnectorDistiller`` prepared from both.
        inputs: (B, C, H, W), of the size of the training, as many images as every loss needs.

    Raises:
        ValueError: a network that cannot be run, a record that never fires, channels that cannot
            be read, a loss whose inputs do not fit or that is constant; with names and shapes.
    """
    for role, network in (('teacher', teacher), ('student', student)):
        try:
            with evaluating(network), getattr(distiller, f'{role}_recorders'):
                run(network, inputs)
        except ModuleError as error:
            own, given = input_channels(network), inputs.shape[1]
            text = f'the {role} ({type(network).__name__}) cannot be run on an input of '
            text += f'{" x ".join(map(str, inputs.shape))}: {error}'
            if own != given:
                text += f"; it takes images of {own} channels, the student's have {given}, and "
                text += 'both see the same'
            raise ValueError(text) from error

    size = ' x '.join(str(length) for length in inputs.shape[-2:])
    for name, records in distiller.loss_forward_mappings.items():
        _check_fired(name, records, distiller)
        fired = {}
        for key, record in records.items():
            of = (distiller.has_recorded(n, record['from_student']) for n in recorder_names(record))
            fired.update({key: record} if all(of) else {})
        try:
            _set_channels(fired, distiller)
            _set_channels_of_loss(name, records, fired, distiller)
            if len(fired) == len(records):
                with evaluating(distiller):  # a batch norm in a connector learns nothing from zeros
                    distiller.compute_loss(name)
                    _refuse_constant(name, distiller)
        except Exception as error:
            raise ValueError(
                f"distill_losses['{name}'] does not fit the records of an input of {size}: "
                f'{error}\n' + _describe(records, distiller)
            ) from error

    for kind in ('connectors', 'distill_losses'):
        for name, part in getattr(distiller, kind).items():
            if not getattr(part, 'has_channels', True):
                raise ValueError(
                    f"{kind}['{name}'] has no channels: what it reads is not recorded in "
                    'inference, or no entry of loss_forward_mappings uses it. Set its channels '
                    '(in_channel and out_channel), or leave it out'
                )
    distiller.reset_records()


@torch.random.fork_rng(devices=[])
def _refuse_constant(name: str, distiller: nn.Module) -> None:
    """Raise ValueError for a loss whose gradient is zero, whatever maps it is given.

    A softmax over a single entry is always 1: one logit of a binary head, one position.
    """
    maps = distiller.student_maps([name])
    can_be_tried = all(x.is_floating_point() and not x.is_meta for x in maps.values())
    if is_off(distiller.distill_losses[name]) or not maps or not can_be_tried:
        return
    with _random_records(distiller) as drawn, torch.enable_grad():
        loss = distiller.compute_loss(name)
        if not loss.requires_grad:  # said in the first iteration, with its reason
            return
        gradients = torch.autograd.grad(loss, drawn, allow_unused=True)
    if all(gradient is None or not gradient.any() for gradient in gradients):
        raise ValueError(
            'its gradient is zero whatever the student gives, so it teaches nothing. A softmax '
            'over a single entry (one channel, one position) is such a constant'
        )


def is_off(loss: nn.Module) -> bool:
    """Whether its ``loss_weight`` is 0, or of a loss of several parts that of each of them."""
    weights = [part.loss_weight for part in loss.modules() if hasattr(part, 'loss_weight')]
    return bool(weights) and all(weight == 0 for weight in weights)


@contextlib.contextmanager
def _random_records(distiller: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, random numbers stand for all maps; gives the student's, as they are read."""
    drawn: list[Tensor] = []
    known = {}

    def draw(key: tuple, data: Any) -> Any:
        if not isinstance(data, Tensor) or not data.is_floating_point():
            return data
        if key not in known:
            known[key] = torch.randn_like(data).requires_grad_(key[1])
            drawn.extend([known[key]] * key[1])
        return known[key]

    with replaced_records(distiller, draw):
        yield drawn


def _set_channels(records: dict, distiller: nn.Module) -> None:
    """Tell the connectors of a loss what they read, and the teacher's width to project to."""
    width = _teacher_width(records, distiller)
    for argument, record in records.items():
        name = record.get('connector')
        connector = None if name is None else distiller.connectors[name]
        if not hasattr(connector, 'set_channels'):
            continue
        channels = _channels(argument, f"connector '{name}'", _raw(record, distiller))
        if width is None and not connector.has_out_channel:
            raise ValueError(
                f"{argument}: out_channel of connector '{name}' cannot be read, as "
                'this loss has no teacher map without a connector: set out_channel'
            )
        connector.set_channels(channels, width)


def _set_channels_of_loss(name: str, records: dict, fired: dict, distiller: nn.Module) -> None:
    """Tell a loss with projections of its own the channels of its two maps, or lists of maps."""
    loss = distiller.distill_losses[name]
    if not hasattr(loss, 'set_channels'):
        return
    widths = []
    for arguments in (('s_feature', 's_features'), ('t_feature', 't_features')):
        argument = next((argument for argument in arguments if argument in records), None)
        if argument is None:
            raise ValueError(f'loss_forward_mappings.{name} gives it no {arguments[0]}')
        if argument not in fired:
            return
        x = distiller.get_record(**records[argument])
        widths.append(_channels(argument, f"loss '{name}'", x))
    loss.set_channels(*widths)


def _channels(argument: str, reader: str, data: Any) -> Union[int, list[int]]:
    """C of a map (B, C, H, W), or those of a list of maps where several recorders are named."""
    if isinstance(data, list):
        return [_channels(f'{argument}[{k}]', reader, x) for k, x in enumerate(data)]
    if isinstance(data, Tensor) and data.dim() == 4:
        return data.shape[1]
    hint = '; data_idx=0 picks the first of them' if isinstance(data, tuple) else ''
    raise ValueError(f'{argument}: {reader} takes a map (B, C, H, W), got {_shape(data)}{hint}')


def _teacher_width(records: dict, distiller: nn.Module) -> Union[int, list[int], None]:
    """Channels of the teacher maps whose width the loss sees; None if there is no one."""
    widths = []
    for argument, record in records.items():
        connectors = [distiller.connectors[record['connector']]] if record.get('connector') else []
        if record['from_student'] or any(hasattr(of, 'set_channels') for of in connectors):
            continue
        with contextlib.suppress(ValueError):  # no map: not what a projection is to match
            width = _channels(argument, '', _raw(record, distiller))
            widths += [width] if width not in widths else []
    return widths[0] if len(widths) == 1 else None


def _check_fired(name: str, records: dict, distiller: nn.Module) -> None:
    taught = [record for record in records.values() if not record['from_student']]
    for recorder in (recorder for record in taught for recorder in recorder_names(record)):
        if not distiller.has_recorded(recorder, from_student=False):
            source = distiller.recorder(recorder, from_student=False).source
            raise ValueError(
                f"teacher_recorders['{recorder}'] recorded nothing from {source!r}, which "
                f"distill_losses['{name}'] reads: the teacher runs its features and decode head "
                'only (no auxiliary head, no loss), so choose a module that runs in inference'
            )


def _raw(record: dict, distiller: nn.Module) -> Any:
    """The record before its connector."""
    keys = ('recorder', 'from_student', 'record_idx', 'data_idx')
    return distiller.raw_record(**{key: record[key] for key in keys if key in record})


def _describe(records: dict, distiller: nn.Module) -> str:
    lines = []
    for argument, record in records.items():
        side = 'student' if record['from_student'] else 'teacher'
        try:
            shape = _shape(_raw(record, distiller))
        except Exception as error:
            shape = str(error)
        names = recorder_names(record)
        recorders = ', '.join(f"{side}_recorders['{name}']" for name in names)
        sources = [distiller.recorder(name, record['from_student']).source for name in names]
        line = f'  {argument}: {recorders} from {", ".join(map(repr, sources))}, {shape}'
        through = record.get('connector')
        lines.append(line + (f", through connector '{through}'" if through else ''))
    return '\n'.join(lines)


def _shape(data: Any) -> str:
    if isinstance(data, Tensor):
        return f'shape {tuple(data.shape)}'
    if isinstance(data, (tuple, list)):
        return f'a {type(data).__name__} of ' + ', '.join(_shape(item) for item in data)
    return f'a {type(data).__name__}'
