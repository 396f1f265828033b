"""The trained student as plain mmseg has it: config, checkpoint, and ONNX."""

from .checkpoint import student_checkpoint
from .deployed import RUNTIMES, Deployed, compare_deployed
from .hub import check_hub_folder, write_hub_folder
from .make import export_student
from .plain_config import plain_config

__all__ = [
    'RUNTIMES',
    'Deployed',
    'check_hub_folder',
    'compare_deployed',
    'export_student',
    'plain_config',
    'student_checkpoint',
    'write_hub_folder',
]
