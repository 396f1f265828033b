from .progress_line_hook import ProgressLineHook
from .student_weights_hook import StudentWeightsHook

__all__ = ['ProgressLineHook', 'StudentWeightsHook']
