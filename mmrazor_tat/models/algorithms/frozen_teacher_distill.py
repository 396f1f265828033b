"""Distillation from a teacher that is frozen in every respect."""

import contextlib
from typing import Any, Optional, Union

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmrazor.models.algorithms.base import LossResults
from mmrazor.models.algorithms.distill.configurable.single_teacher_distill import (
    SingleTeacherDistill,
)
from mmrazor.models.utils import add_prefix
from mmrazor.registry import MODELS
from torch import Tensor, nn

from ...utils.errors import UserError
from ..distillers import SharedConnectorDistiller
from ..forward import input_channels
from ..gradient_shares import TASK, LossGradient, loss_gradients
from ..probe import probe
from ..teacher.checkpoints import TeacherOfCheckpoints
from ..teacher.folding import fold_norms
from ..teacher.identity import TeacherIdentity
from ..teacher.inference import TeacherInference
from ..teacher.input import TeacherInput, batch_statistics
from ..teacher.load import load_teacher
from .checks import check_loss_weights, check_names, check_padding, check_that_the_student_learns

_DEFAULT_PROBE_SIZE = (512, 512)


@MODELS.register_module()
class FrozenTeacherDistill(TeacherOfCheckpoints, SingleTeacherDistill):
    """``SingleTeacherDistill`` with a teacher that is wholly frozen, loaded and checked.

    What differs from MMRazor's: the teacher is in eval mode altogether (its dropout too), builds
    no graph, and runs features only (``mode='tensor'``: no loss, no auxiliary head, no logits at
    full resolution); its checkpoint must load completely; and before any training a dry run
    (:func:`mmrazor_tat.models.probe.probe`) checks every recorder, connector, loss and shape. A
    teacher whose config has a ``data_preprocessor`` of its own sees the student's crop with the
    mean, std and channel order of that one.

    Its ``state_dict`` leaves the weights of a teacher with a ``teacher_ckpt`` out, and names it by
    path and SHA-256 instead: checkpoints are as large as the student's. What is loaded brings no
    other teacher; a run that is resumed with another one stops.

    Args:
        architecture, teacher: a config each, or a built model.
        distiller: config of a ``SharedConnectorDistiller``.
        teacher_ckpt, trust_teacher_ckpt: see
            :func:`mmrazor_tat.models.teacher.load.load_teacher`. Without a checkpoint a teacher
            given as a config can be built and looked at, but not trained with.
        teacher_mode: 'eval', or 'bn_train': in training its batch norms take the statistics of the
            batch, as the released code's do; their running statistics stay as they are.
        fold_teacher: fold the batch norms of a teacher from ``teacher_ckpt`` into its convolutions
            (in 'eval' mode): the same maps to rounding. It is tried; where the maps are not the
            same it is left as it is, with a warning.
        teacher_channels_last: run it in this memory format; faster on some processors.
        teacher_dtype: 'bfloat16' or 'float16': run it under autocast; its maps are rounded then.
        teacher_compile: run it through ``torch.compile``, its weights as constants.
        probe_size: (height, width) of the dry run; None: the ``size`` of the data preprocessor,
            which is the crop that the batches are padded to, or 512 x 512 where it has none.
        **kwargs: ``data_preprocessor`` (the student's own has precedence), ``init_cfg``,
            ``student_trainable`` and ``calculate_student_loss``; see ``SingleTeacherDistill``.

    Raises:
        ValueError, FileNotFoundError: whatever of the above does not fit, by name.
    """

    def __init__(
        self,
        architecture: Union[dict, BaseModel],
        teacher: Union[dict, BaseModel],
        distiller: dict,
        teacher_ckpt: Optional[str] = None,
        trust_teacher_ckpt: bool = False,
        teacher_mode: str = 'eval',
        probe_size: Optional[tuple[int, int]] = None,
        fold_teacher: bool = True,
        teacher_channels_last: bool = False,
        teacher_dtype: Optional[str] = None,
        teacher_compile: bool = False,
        **kwargs,
    ) -> None:
        check_names(kwargs)
        if teacher_mode not in ('eval', 'bn_train'):
            raise ValueError(f"teacher_mode must be 'eval' or 'bn_train', got {teacher_mode!r}")
        if isinstance(architecture, dict) and architecture.get('data_preprocessor'):
            # As in its plain training; the config's top-level one may have another crop.
            kwargs['data_preprocessor'] = None
        super().__init__(distiller, teacher, architecture=architecture, **kwargs)
        if not isinstance(self.distiller, SharedConnectorDistiller):
            raise ValueError(
                "distiller must be a config with type='SharedConnectorDistiller', got "
                f'{type(self.distiller).__name__}'
            )
        check_loss_weights(architecture=self.architecture, distiller=self.distiller)
        self.teacher_ckpt = teacher_ckpt
        self.teacher_identity: Optional[TeacherIdentity] = None
        # A model that the caller built is the caller's to load.
        self.teacher_is_loaded = not isinstance(teacher, dict)
        if teacher_ckpt is not None:
            report = load_teacher(self.teacher, teacher_ckpt, trust_teacher_ckpt)
            self.teacher_identity = TeacherIdentity.of(self.teacher, teacher_ckpt)
            MMLogger.get_current_instance().info(
                f'{report}; in the checkpoints of this run sha256 '
                f'{self.teacher_identity.sha256[:16]} stands for it'
            )
            self.teacher_is_loaded = True
        self.distiller.prepare_connectors(self.teacher)
        self.teacher._is_init = True  # its weights are no business of init_weights
        self.teacher.requires_grad_(False)
        self.teacher_mode = teacher_mode
        self.teacher_inference = TeacherInference(
            teacher_channels_last, teacher_dtype, teacher_compile
        )
        own = self.teacher.data_preprocessor
        given = teacher.get('data_preprocessor') if isinstance(teacher, dict) else own
        if not given or (given is own and type(own) is BaseDataPreprocessor):
            own = None  # built by default: it says nothing of what the teacher is used to
        self.teacher_input = TeacherInput(self.data_preprocessor, own)
        self.train(self.training)

        size = probe_size or getattr(self.data_preprocessor, 'size', None) or _DEFAULT_PROBE_SIZE
        losses = self.distiller.distill_losses.values()
        images = max((getattr(loss, 'least_images', 1) for loss in losses), default=1)
        channels = input_channels(self)
        inputs = next(self.student.parameters()).new_zeros(images, channels, *size)
        probe(self.student, self.teacher, self.distiller, inputs)
        if fold_teacher and teacher_ckpt is not None and teacher_mode == 'eval':
            fold_norms(self.teacher, self.distiller.teacher_recorders, (1, *inputs.shape[1:]))
            self.distiller.reset_records()
        self.measures_gradients = self._padding_is_checked = self._learning_is_checked = False
        self.loss_gradients: dict[str, dict[str, LossGradient]] = {}
        self._keep_teacher_out_of_checkpoints()

    @property
    def out_channels(self) -> int:
        """The student's; mmseg's test-time augmentation asks for it."""
        return self.student.out_channels

    def train(self, mode: bool = True) -> nn.Module:
        """Set the student's mode; the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def init_weights(self) -> None:
        self._require_loaded_teacher()
        super().init_weights()

    def loss(self, batch_inputs: Tensor, data_samples: Optional[list] = None) -> LossResults:
        """Task losses of the student ('student.*') and distillation losses ('distill.*') of a batch
        (B, C, H, W) with its labels."""
        self._require_loaded_teacher()
        self._check_resumed_teacher()
        if data_samples and not self._padding_is_checked:
            self._padding_is_checked = True
            check_padding(batch_inputs, data_samples)
        if self.distillation_stopped:  # MMRazor's StopDistillHook
            self.distiller.loss_factors = dict.fromkeys(self.distiller.loss_forward_mappings, 0.0)
        if not self.distiller.is_stopped:
            self._run_teacher(batch_inputs, data_samples)

        self.distiller.set_deliveries_override(True)
        with (
            torch.set_grad_enabled(self.student_trainable and torch.is_grad_enabled()),
            self.distiller.student_recorders,
            self.distiller.deliveries,
        ):
            student_losses = self.student(batch_inputs, data_samples, mode='loss')

        losses = add_prefix(student_losses, 'student') if self.calculate_student_loss else {}
        distill_losses = self.distiller.compute_distill_losses(self.measures_gradients)
        learns = self.student_trainable and torch.is_grad_enabled()
        if learns and not self._learning_is_checked:
            self._learning_is_checked = True
            check_that_the_student_learns(self.distiller, distill_losses)
        if self.measures_gradients:
            parts = {name: distill_losses[name] for name in self.distiller.loss_forward_mappings}
            parts.update({TASK: self.parse_losses(losses)[0]} if losses else {})
            self.loss_gradients = loss_gradients(self.distiller.student_maps(), parts)
        losses.update(add_prefix(distill_losses, 'distill'))
        return losses

    def record(self, batch_inputs: Tensor, data_samples: Optional[list] = None) -> Any:
        """Run the features of both models, so that the recorders of the distiller hold their maps.

        Whoever looks at the maps forgets them afterwards: ``distiller.reset_records()``. Gives what
        the student's ``mode='tensor'`` gives: mmseg's logits.
        """
        self._run_teacher(batch_inputs, data_samples)
        self.distiller.set_deliveries_override(True)
        with self.distiller.student_recorders, self.distiller.deliveries:
            return self.student(batch_inputs, data_samples, mode='tensor')

    @torch.no_grad()  # the teacher's graph ends here: its records carry no gradient
    def _run_teacher(self, batch_inputs: Tensor, data_samples: Optional[list]) -> None:
        self.distiller.set_deliveries_override(False)
        batch_inputs = self.teacher_input(batch_inputs, data_samples)
        mode = contextlib.nullcontext()
        if self.teacher_mode == 'bn_train' and self.training:
            mode = batch_statistics(self.teacher)
        recorders = self.distiller.teacher_recorders
        with mode, recorders, self.distiller.deliveries:
            self.teacher_inference.run(self.teacher, batch_inputs, data_samples)
        self.teacher_inference.hand_over(recorders.recorders)

    @torch.no_grad()
    def teacher_val_step(self, data: Union[dict, tuple, list]) -> list:
        """The teacher's predictions of a batch of the data loader."""
        self._require_loaded_teacher()
        data = self.data_preprocessor(data, False)
        inputs, data_samples = data['inputs'], data.get('data_samples')
        return self.teacher(self.teacher_input(inputs, data_samples), data_samples, mode='predict')

    def _require_loaded_teacher(self) -> None:
        if not self.teacher_is_loaded:
            raise UserError(
                'teacher_ckpt is None: a teacher with random weights has nothing to teach. Set '
                'model.teacher_ckpt to a file or URL (--cfg-options model.teacher_ckpt=PATH)'
            )
