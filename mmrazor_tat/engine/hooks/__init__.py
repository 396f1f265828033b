from .attention_visualization_hook import AttentionVisualizationHook
from .checkpoint_fit_hook import CheckpointFitHook
from .gradient_share_hook import GradientShareHook
from .loss_schedule_hook import LossScheduleHook
from .progress_line_hook import ProgressLineHook
from .recipe_check_hook import RecipeCheckHook
from .second_evaluation_hook import SecondEvaluationHook
from .student_checkpoint_hook import StudentCheckpointHook
from .student_weights_hook import StudentWeightsHook
from .teacher_check_hook import TeacherCheckHook
from .teacher_evaluation_hook import TeacherEvaluationHook

__all__ = [
    'AttentionVisualizationHook',
    'CheckpointFitHook',
    'GradientShareHook',
    'LossScheduleHook',
    'ProgressLineHook',
    'RecipeCheckHook',
    'SecondEvaluationHook',
    'StudentCheckpointHook',
    'StudentWeightsHook',
    'TeacherCheckHook',
    'TeacherEvaluationHook',
]
