"""The feature before an activation, the point that most feature distillation reads."""

from typing import Any

from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from mmrazor.registry import TASK_UTILS
from torch import nn


@TASK_UTILS.register_module()
class PreActivationRecorder(ModuleOutputsRecorder):
    """Record what an activation module takes in its last call of a forward pass.

    In a config: ``dict(type='PreActivation', source='backbone.layer4.1.relu')``. The blocks of
    mmseg's ResNets call one ReLU several times; the last call is the one after the addition, so
    this is the block's result before its ReLU. The record is the tensor itself, no tuple.

    Args:
        source: name of the activation module, e.g. the ``activate`` of an mmcv ``ConvModule`` or
            the ``relu`` of a ResNet block. Unlike a batch norm it is never replaced by the runner.
    """

    def forward_hook(self, module: nn.Module, inputs: tuple, outputs: Any) -> None:
        if self.recording:
            self.data_buffer[:] = [inputs[0]]
