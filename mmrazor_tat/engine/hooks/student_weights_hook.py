"""A distillation checkpoint for a plain student config."""

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmrazor.registry import HOOKS

from ...utils.networks import student_weights


@HOOKS.register_module()
class StudentWeightsHook(Hook):
    """Load the student of a distillation checkpoint where the model is a plain network.

    Without it mmengine would load nothing of such a checkpoint, say so in a warning, and go on with
    random weights.
    """

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        weights = checkpoint.get('state_dict') if isinstance(checkpoint, dict) else None
        weights = student_weights(weights or {})
        if not weights:
            return
        if any(name.split('.')[-1] == 'architecture' for name, _ in runner.model.named_modules()):
            return
        checkpoint['state_dict'] = weights
        MMLogger.get_current_instance().info('the student of a distillation checkpoint is loaded')
