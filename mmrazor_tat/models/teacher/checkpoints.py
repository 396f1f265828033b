"""What a distillation's checkpoint says of its teacher, and what is loaded of one."""

from typing import Optional

from mmengine.logging import MessageHub, MMLogger
from torch import nn

from ...utils.errors import UserError
from .identity import KEY as IDENTITY_KEY
from .identity import TeacherIdentity, digest_of_weights


class TeacherOfCheckpoints:
    """The part of an algorithm that keeps the teacher out of its checkpoints, by name."""

    teacher_identity: Optional[TeacherIdentity]  # of ``teacher_ckpt``
    teacher_of_checkpoint: Optional[str]  # what is known of it, where it is another one

    def _keep_teacher_out_of_checkpoints(self) -> None:
        self.teacher_of_checkpoint = None
        self._register_state_dict_hook(_name_teacher)
        self._register_load_state_dict_pre_hook(self._take_plain_student)
        self._register_load_state_dict_pre_hook(self._keep_teacher)

    def _take_plain_student(self, state_dict: dict, prefix: str, *_) -> None:
        """The weights of a plain network that is loaded are the student's, trained before."""
        taken, own = plain_student_keys(self, state_dict, prefix), self.architecture.state_dict()
        fitting = [key for key in taken if state_dict[prefix + key].shape == own[key].shape]
        for key in taken:
            state_dict[f'{prefix}architecture.{key}'] = state_dict.pop(prefix + key)
        if taken:
            # The distiller's stay what they are.
            state_dict.update(
                {f'{prefix}distiller.{k}': v for k, v in self.distiller.state_dict().items()}
            )
            MMLogger.get_current_instance().info(
                f'the checkpoint that is loaded holds a plain network: {len(fitting)} of its '
                "weights are the student's (architecture)"
            )

    def _keep_teacher(self, state_dict: dict, prefix: str, *_) -> None:
        """What is loaded or resumed brings no other teacher than ``teacher_ckpt``."""
        key = prefix + IDENTITY_KEY
        named = TeacherIdentity.from_tensor(state_dict.pop(key)) if key in state_dict else None
        before = f'{prefix}teacher.'
        keys = [key for key in state_dict if key.startswith(before)]
        weights = {key.removeprefix(before): state_dict[key] for key in keys}
        if self.teacher_identity is None and weights:
            return  # nothing to hold them against: they are the teacher
        for key in keys:
            del state_dict[key]
        state_dict.update({before + k: v for k, v in self.teacher.state_dict().items()})
        self.teacher_of_checkpoint = None
        if self.teacher_identity is None:
            return
        if named is not None and named.sha256 != self.teacher_identity.sha256:
            self.teacher_of_checkpoint = str(named)
        elif weights and digest_of_weights(weights) != self.teacher_identity.sha256:
            self.teacher_of_checkpoint = 'whose weights it holds'
        if self.teacher_of_checkpoint is not None:
            MMLogger.get_current_instance().warning(
                'the checkpoint that is loaded was made with another teacher than teacher_ckpt '
                f'{self.teacher_identity}: one {self.teacher_of_checkpoint}. That of teacher_ckpt '
                'is kept'
            )

    def _check_resumed_teacher(self) -> None:
        """Raise ValueError before the first iteration of a run resumed with another teacher."""
        other = self.teacher_of_checkpoint
        if other is None:
            return
        if MessageHub.get_current_instance().get_info('iter', 0) == 0:
            self.teacher_of_checkpoint = None  # a mere load_from: another teacher is a choice
        else:
            raise UserError(
                f'teacher_ckpt {self.teacher_identity} is another teacher than that of the run '
                f'that is resumed: one {other}. Set model.teacher_ckpt to that one, or begin a '
                'run of its own from the checkpoint (load_from without resume)'
            )


def plain_student_keys(model: nn.Module, weights: dict, prefix: str = '') -> list[str]:
    """The names in ``weights`` of a checkpoint that are the student's own of a
    ``FrozenTeacherDistill``; none where it holds a distillation."""
    if any(key.startswith(f'{prefix}architecture.') for key in weights):
        return []
    own = model.architecture.state_dict() if hasattr(model, 'architecture') else {}
    return [key for key in own if prefix + key in weights]


def _name_teacher(model: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Put the teacher's identity in the place of its weights."""
    if model.teacher_identity is None:
        return
    for key in [key for key in state_dict if key.startswith(f'{prefix}teacher.')]:
        del state_dict[key]
    state_dict[prefix + IDENTITY_KEY] = model.teacher_identity.to_tensor()
