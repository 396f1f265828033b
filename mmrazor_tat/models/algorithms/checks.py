"""What a distillation is asked of when it is made, and in its first iteration."""

from mmengine.logging import MMLogger
from torch import Tensor, nn

from ...utils.errors import UserError
from ..losses.base import check_weight


def check_that_the_student_learns(distiller: nn.Module, distill_losses: dict[str, Tensor]) -> None:
    """Warn of a record that no weight of the student can change, e.g. of frozen stages.

    Raises:
        ValueError: a loss without a gradient, though what it reads of the student has one:
            student and teacher were exchanged.
    """
    for name, record in distiller.student_maps().items():
        if not record.requires_grad:
            source = distiller.recorder(name, from_student=True).source
            MMLogger.get_current_instance().warning(
                f"student_recorders['{name}'] reads {source!r}, which depends on no weight "
                'that is trained (frozen stages?): a loss on it teaches the student nothing'
            )
    for name, records in distiller.loss_forward_mappings.items():
        if distiller.loss_factors.get(name) == 0 or distill_losses[name].requires_grad:
            continue
        student = [key for key, record in records.items() if record['from_student']]
        maps = distiller.student_maps([name]).values()
        if all(x.requires_grad for x in maps):
            raise UserError(
                f"distill_losses['{name}'] has no gradient, so it teaches the student nothing: "
                f'of its arguments {", ".join(map(repr, student)) or "none"} come from the '
                'student (from_student=True in loss_forward_mappings). Were student and '
                'teacher exchanged?'
            )


def check_padding(batch_inputs: Tensor, data_samples: list) -> None:
    """Warn if the data preprocessor pads most of every image away: a pipeline's crop was made
    smaller and its ``size`` was not. The loss then looks far too small, and nothing else tells."""
    sizes = {tuple(getattr(sample, 'img_shape', ())[:2]) for sample in data_samples}
    height, width = batch_inputs.shape[-2:]
    if all(len(size) == 2 and size[0] * size[1] * 2 < height * width for size in sizes):
        MMLogger.get_current_instance().warning(
            f'images of {sorted(sizes)} are padded to {height} x {width}: more than half of '
            'every input is padding. Set model.architecture.data_preprocessor.size to the '
            "pipeline's crop (our tools/train.py: --cfg-options crop_size='(H,W)')"
        )


_PACKAGES = ('mmseg', 'mmpretrain', 'mmrazor', 'mmrazor_tat', 'mmdet')


def check_names(options: dict) -> None:
    """ValueError for an option of ``SingleTeacherDistill`` that would let the teacher learn."""
    for name in ('teacher_trainable', 'teacher_norm_eval'):
        if name in options:
            raise ValueError(
                f'{name}={options[name]!r}: the teacher of FrozenTeacherDistill is always '
                "frozen; leave it out (teacher_mode='bn_train' gives its batch norms the "
                'statistics of the batch), or use SingleTeacherDistill'
            )


def check_loss_weights(**networks: nn.Module) -> None:
    """Raise ValueError for a weight or temperature of a loss that is out of range.

    Losses of other packages than OpenMMLab's and ours have arguments of their own.
    """
    for owner, module in networks.items():
        for name, part in module.named_modules():
            is_known = type(part).__module__.split('.')[0] in _PACKAGES
            if is_known and hasattr(part, 'loss_weight'):
                check_weight(f'{owner}.{name}.loss_weight', part.loss_weight)
                check_weight(f'{owner}.{name}.tau', getattr(part, 'tau', 1), positive=True)
