"""How records meet connectors and losses."""

from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import torch
from mmrazor.models.distillers.configurable_distiller import ConfigurableDistiller
from mmrazor.models.task_modules.recorder import ParameterRecorder
from mmrazor.registry import MODELS
from torch import Tensor, nn

from .records import check_sources, in_full_precision, name_for_log, recorder_names


@MODELS.register_module()
class SharedConnectorDistiller(ConfigurableDistiller):
    """A ``ConfigurableDistiller`` whose connectors run once a step.

    However many losses read a record through a connector, the connector is called once. (MMRazor's
    distiller calls it once a loss: twice the work, and a batch norm in it is updated twice.) The
    arguments are those of ``ConfigurableDistiller``. Beyond it:

    * In ``loss_forward_mappings`` a ``recorder`` may be a list of names: the record is then the
      list of theirs, e.g. the maps of several levels, and so is what its connector takes.
    * Recorders that no loss reads are left out. So a pair of models can name all its feature
      points once, and each method takes those that it needs.
    * Losses of half-precision records are computed in float32, MMRazor's too; a loss with a true
      attribute ``takes_half_precision`` gets the records as they are.
    * A connector's ``prepare_from_teacher(teacher, source)``, where it has one, is called with the
      teacher and the name of the module that it reads.

    Attributes:
        loss_factors: by the name of a loss, 1 where there is none; of 0 a loss is not computed.
        balance_factors: the same of ``GradientBalanceHook``; a loss is multiplied by both.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.loss_factors: dict[str, float] = {}
        self.balance_factors: dict[str, float] = {}
        self._records_of_step: Optional[dict] = None  # only while losses are computed

    def prepare_from_student(self, model: nn.Module) -> None:
        self._leave_out_unread(self.student_recorders.recorders, from_student=True)
        check_sources('student', self.student_recorders.recorders, model)
        super().prepare_from_student(model)

    def prepare_from_teacher(self, model: nn.Module) -> None:
        self._leave_out_unread(self.teacher_recorders.recorders, from_student=False)
        check_sources('teacher', self.teacher_recorders.recorders, model)
        super().prepare_from_teacher(model)

    def prepare_connectors(self, teacher: nn.Module) -> None:
        """Let the connectors of the teacher's records read what they need of its weights."""
        for record in self._all_records():
            connector = record.get('connector') and self.connectors[record['connector']]
            if not record['from_student'] and hasattr(connector, 'prepare_from_teacher'):
                (name,) = recorder_names(record)
                source = self.recorder(name, from_student=False).source
                connector.prepare_from_teacher(teacher, source)

    def get_record(
        self,
        recorder: Union[str, list[str]],
        from_student: bool,
        record_idx: int = 0,
        data_idx: Optional[int] = None,
        connector: Optional[str] = None,
        connector_idx: Optional[int] = None,
    ) -> Any:
        """A record, through its connector if one is named. See ``ConfigurableDistiller``."""
        name = recorder if isinstance(recorder, str) else tuple(recorder)
        key = (name, from_student, record_idx, data_idx, connector)
        known = {} if self._records_of_step is None else self._records_of_step
        if key not in known:
            data = self.raw_record(recorder, from_student, record_idx, data_idx)
            known[key] = data if connector is None else self.connectors[connector](data)
        return known[key] if connector_idx is None else known[key][connector_idx]

    def raw_record(
        self,
        recorder: Union[str, list[str]],
        from_student: bool,
        record_idx: int = 0,
        data_idx: Optional[int] = None,
    ) -> Any:
        """A record before its connector; a list of them for a list of names."""
        if not isinstance(recorder, str):
            return [self.raw_record(name, from_student, record_idx, data_idx) for name in recorder]
        if not self.has_recorded(recorder, from_student):
            side = 'student' if from_student else 'teacher'
            raise ValueError(
                f"{side}_recorders['{recorder}'] recorded nothing from "
                f'{self.recorder(recorder, from_student).source!r} in this iteration'
            )
        return self.recorder(recorder, from_student).get_record_data(record_idx, data_idx)

    def recorder(self, name: str, from_student: bool) -> Any:
        """The recorder ``name`` of the student or the teacher."""
        manager = self.student_recorders if from_student else self.teacher_recorders
        return manager.get_recorder(name)

    def has_recorded(self, name: str, from_student: bool) -> bool:
        """Whether the last forward filled the recorder; one of a parameter is always filled."""
        recorder = self.recorder(name, from_student)
        return isinstance(recorder, ParameterRecorder) or len(recorder.data_buffer) > 0

    def reset_records(self) -> None:
        """Forget what the recorders hold, e.g. the maps of a large image."""
        for manager in (self.student_recorders, self.teacher_recorders):
            for recorder in manager.recorders.values():
                recorder.reset_data_buffer()

    def compute_loss(self, name: str) -> Tensor:
        """The value of the distillation loss ``name`` from the current records."""
        records = self.loss_forward_mappings[name]
        arguments = {key: self.get_record(**record) for key, record in records.items()}
        loss = self.distill_losses[name]
        if getattr(loss, 'takes_half_precision', False):
            return loss(**arguments)
        return in_full_precision(loss, arguments)

    def compute_distill_losses(self, repeatable: bool = False) -> dict[str, Tensor]:
        """All distillation losses by name, from the current records, times their factors.

        A loss made of several parts (``HierarchicalTaTLoss``) has them in ``logged_values``: they
        are logged under names without 'loss', e.g. 'tat_patch' of 'loss_tat', which mmengine does
        not add to the total.

        Args:
            repeatable: whether they are to be differentiated more than once; told to the losses
                that have an attribute ``repeatable_backward``.
        """
        self._records_of_step = {}
        for loss in self.distill_losses.values():
            if hasattr(loss, 'repeatable_backward'):
                loss.repeatable_backward = repeatable
        try:
            losses = {}
            for name in self.loss_forward_mappings:
                factor = self.factor(name)
                value = self._nothing(name) if factor == 0 else self.compute_loss(name)
                losses[name] = value if factor in (0, 1) else factor * value
                parts = getattr(self.distill_losses[name], 'logged_values', {})
                for part, value in parts.items():
                    value = value.new_zeros(()) if factor == 0 else factor * value
                    losses[f'{name_for_log(name)}_{part}'.strip('_')] = value
            return losses
        finally:
            self._records_of_step = None

    def factor(self, name: str) -> float:
        """By which the distillation loss ``name`` is multiplied now."""
        return self.loss_factors.get(name, 1.0) * self.balance_factors.get(name, 1.0)

    def read_of_student(self, name: str) -> list[str]:
        """The recorders of the student that the loss ``name`` reads."""
        records = self.loss_forward_mappings[name].values()
        return [of for record in records if record['from_student'] for of in recorder_names(record)]

    def student_maps(self, losses: Optional[Sequence[str]] = None) -> dict[str, Tensor]:
        """The tensors that losses (None: all) read of the student, by recorder, unconnected."""
        maps = {}
        names = self.loss_forward_mappings if losses is None else losses
        for record in (r for name in names for r in self.loss_forward_mappings[name].values()):
            place = record.get('record_idx', 0), record.get('data_idx')
            for name in recorder_names(record) if record['from_student'] else ():
                data = self.raw_record(name, True, *place)
                maps.update({name: data} if isinstance(data, Tensor) else {})
        return maps

    @property
    def is_stopped(self) -> bool:
        """Whether every loss has the factor 0, so that no record is needed."""
        return all(self.loss_factors.get(name) == 0 for name in self.loss_forward_mappings)

    def _nothing(self, name: str) -> Tensor:
        """Zero, with a zero gradient for what ``name`` would train: else DDP would wait for it."""
        records = self.loss_forward_mappings[name].values()
        names = [record['connector'] for record in records if record.get('connector')]
        parts = [self.distill_losses[name], *(self.connectors[of] for of in names)]
        parameters = [p for part in parts for p in part.parameters() if p.requires_grad]
        if parameters:
            return sum(0.0 * p.sum() for p in parameters)
        maps = self.student_maps().values()
        return next((x.new_zeros(()) for x in maps), torch.zeros(()))

    def _leave_out_unread(self, recorders: dict, from_student: bool) -> None:
        read = {
            name
            for record in self._all_records()
            if record['from_student'] == from_student
            for name in recorder_names(record)
        }
        for name in set(recorders) - read:
            del recorders[name]

    def _all_records(self) -> Iterator[dict]:
        for records in self.loss_forward_mappings.values():
            yield from records.values()

    def _check_loss_forward_mappings(
        self, losses, loss_forward_mappings, student_recorders, teacher_recorders
    ) -> None:
        """MMRazor's check, for every name of a list of recorders."""
        for loss, records in loss_forward_mappings.items():
            for argument, record in records.items():
                names = record.get('recorder')
                for name in names if isinstance(names, (list, tuple)) else [names]:
                    one = {**record, 'recorder': name} if 'recorder' in record else record
                    super()._check_loss_forward_mappings(
                        losses, {loss: {argument: one}}, student_recorders, teacher_recorders
                    )
