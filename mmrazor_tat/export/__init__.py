"""The trained student as plain mmseg has it: config, checkpoint, and ONNX."""

from .checkpoint import student_checkpoint
from .make import export_student
from .onnx_file import OnnxInput
from .plain_config import plain_config

__all__ = ['OnnxInput', 'export_student', 'plain_config', 'student_checkpoint']
