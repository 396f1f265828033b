"""A dry run of student, teacher and distiller: shapes are known and checked before training."""

from contextlib import contextmanager
from typing import Any, Optional

import torch
from torch import Tensor, nn

from .connectors import TaTConnector
from .losses import HierarchicalTaTLoss


@torch.no_grad()
def probe(student: nn.Module, teacher: nn.Module, distiller: nn.Module, inputs: Tensor) -> None:
    """Run both models once, give the connectors and losses their channels and try every loss.

    A record of the student that inference does not fill (e.g. in an auxiliary head) cannot be
    looked at here; the losses that read it are left to the first iteration, and their connectors
    need channels of their own.

    Args:
        student, teacher: models whose ``forward(inputs, mode='tensor')`` runs the features.
        distiller: a ``SharedConnectorDistiller`` prepared from both.
        inputs: (1, 3, H, W), of the size that training will use.

    Raises:
        ValueError: a record that never fires, channels that cannot be read, or a loss whose
            inputs do not fit, with the names and shapes of its records.
    """
    with _evaluating(teacher), distiller.teacher_recorders:
        teacher(inputs, mode='tensor')
    with _evaluating(student), distiller.student_recorders:
        student(inputs, mode='tensor')

    size = ' x '.join(str(length) for length in inputs.shape[-2:])
    for name, records in distiller.loss_forward_mappings.items():
        _check_fired(name, records, distiller)
        if not all(_fired(record, distiller) for record in records.values()):
            continue
        try:
            _set_channels(records, distiller)
            _set_channels_of_loss(name, records, distiller)
            with _evaluating(distiller):  # a batch norm in a connector learns nothing from zeros
                distiller.compute_loss(name)
        except Exception as error:
            raise ValueError(
                f"distill_losses['{name}'] does not fit the records of an input of {size}: "
                f'{error}\n' + _describe(records, distiller)
            ) from error

    for name, connector in distiller.connectors.items():
        if isinstance(connector, TaTConnector) and connector.conv is None:
            raise ValueError(
                f"connector '{name}' has no channels: what it reads is not recorded in inference, "
                'or no loss uses it. Set its in_channel and out_channel, or leave it out'
            )
    for name, loss in distiller.distill_losses.items():
        if isinstance(loss, HierarchicalTaTLoss) and not loss.has_channels:
            raise ValueError(
                f"distill_losses['{name}'] has no channels: what it reads is not recorded in "
                'inference, or loss_forward_mappings does not name it. Set its in_channel and '
                'out_channel, or leave it out'
            )

    for manager in (distiller.student_recorders, distiller.teacher_recorders):
        for recorder in manager.recorders.values():
            recorder.reset_data_buffer()


@contextmanager
def _evaluating(model: nn.Module):
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _set_channels(records: dict, distiller: nn.Module) -> None:
    """Tell the connectors of a loss what they read, and the teacher's width to project to."""
    width = _teacher_width(records, distiller)
    for argument, record in records.items():
        if record.get('connector') is None:
            continue
        connector = distiller.connectors[record['connector']]
        if not isinstance(connector, TaTConnector):
            continue
        data = _raw(record, distiller)
        _check_is_map(argument, f"connector '{record['connector']}'", data)
        if connector.out_channel is None and width is None:
            raise ValueError(
                f"{argument}: out_channel of connector '{record['connector']}' cannot be read, as "
                'this loss has no teacher map without a connector: set out_channel'
            )
        connector.set_channels(data.shape[1], width)


def _set_channels_of_loss(name: str, records: dict, distiller: nn.Module) -> None:
    """Tell a loss with projections of its own the channels of its two maps."""
    loss = distiller.distill_losses[name]
    if not isinstance(loss, HierarchicalTaTLoss):
        return
    widths = []
    for argument in ('s_feature', 't_feature'):
        if argument not in records:
            raise ValueError(f'loss_forward_mappings.{name} gives it no {argument}')
        x = distiller.get_record(**records[argument])
        _check_is_map(argument, f"loss '{name}'", x)
        widths.append(x.shape[1])
    loss.set_channels(*widths)


def _check_is_map(argument: str, reader: str, data: Any) -> None:
    if isinstance(data, Tensor) and data.dim() == 4:
        return
    hint = '; data_idx=0 picks the first of them' if isinstance(data, (tuple, list)) else ''
    raise ValueError(f'{argument}: {reader} takes a map (B, C, H, W), got {_shape(data)}{hint}')


def _teacher_width(records: dict, distiller: nn.Module) -> Optional[int]:
    """Channels of the teacher maps that the loss reads as they are; None if there is no one."""
    maps = [
        _raw(record, distiller)
        for record in records.values()
        if not record['from_student'] and record.get('connector') is None
    ]
    widths = {x.shape[1] for x in maps if isinstance(x, Tensor) and x.dim() == 4}
    return widths.pop() if len(widths) == 1 else None


def _check_fired(name: str, records: dict, distiller: nn.Module) -> None:
    for record in records.values():
        if record['from_student'] or _fired(record, distiller):
            continue
        source = _recorder(record, distiller).source
        raise ValueError(
            f"teacher_recorders['{record['recorder']}'] recorded nothing from {source!r}, which "
            f"distill_losses['{name}'] reads: the teacher runs its features and decode head only "
            '(no auxiliary head, no loss), so choose a module that runs in inference'
        )


def _recorder(record: dict, distiller: nn.Module) -> Any:
    return distiller.recorder(record['recorder'], record['from_student'])


def _fired(record: dict, distiller: nn.Module) -> bool:
    return distiller.has_recorded(record['recorder'], record['from_student'])


def _raw(record: dict, distiller: nn.Module) -> Any:
    """The record before its connector."""
    return _recorder(record, distiller).get_record_data(
        record.get('record_idx', 0), record.get('data_idx')
    )


def _describe(records: dict, distiller: nn.Module) -> str:
    lines = []
    for argument, record in records.items():
        side = 'student' if record['from_student'] else 'teacher'
        try:
            shape = _shape(_raw(record, distiller))
        except Exception as error:
            shape = str(error)
        connector = record.get('connector')
        lines.append(
            f"  {argument}: {side}_recorders['{record['recorder']}'] from "
            f'{_recorder(record, distiller).source!r}, {shape}'
            + (f", through connector '{connector}'" if connector else '')
        )
    return '\n'.join(lines)


def _shape(data: Any) -> str:
    if isinstance(data, Tensor):
        return f'shape {tuple(data.shape)}'
    if isinstance(data, (tuple, list)):
        return f'a {type(data).__name__} of ' + ', '.join(_shape(item) for item in data)
    return f'a {type(data).__name__}'
