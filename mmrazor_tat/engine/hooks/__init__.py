"""One hook a file."""

from .attention_visualization_hook import AttentionVisualizationHook
from .checkpoint_fit_hook import CheckpointFitHook
from .exact_resume_hook import ExactResumeHook
from .finite_loss_hook import FiniteLossHook
from .gradient_balance_hook import GradientBalanceHook
from .gradient_share_hook import GradientShareHook
from .loss_schedule_hook import LossScheduleHook
from .recipe_check_hook import RecipeCheckHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .second_evaluation_hook import SecondEvaluationHook
from .student_checkpoint_hook import StudentCheckpointHook
from .student_weights_hook import StudentWeightsHook
from .teacher_check_hook import TeacherCheckHook
from .teacher_evaluation_hook import TeacherEvaluationHook

__all__ = [
    'AttentionVisualizationHook',
    'CheckpointFitHook',
    'ExactResumeHook',
    'FiniteLossHook',
    'GradientBalanceHook',
    'GradientShareHook',
    'LossScheduleHook',
    'RecipeCheckHook',
    'SafeCheckpointHook',
    'SecondEvaluationHook',
    'StudentCheckpointHook',
    'StudentWeightsHook',
    'TeacherCheckHook',
    'TeacherEvaluationHook',
]
