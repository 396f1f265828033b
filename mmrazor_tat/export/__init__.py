"""The trained student as plain mmseg has it: config, checkpoint, and ONNX."""

from .checkpoint import student_checkpoint
from .make import export_student
from .plain_config import plain_config

__all__ = ['export_student', 'plain_config', 'student_checkpoint']
