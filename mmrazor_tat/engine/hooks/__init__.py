from .progress_line_hook import ProgressLineHook
from .recipe_check_hook import RecipeCheckHook
from .second_evaluation_hook import SecondEvaluationHook
from .student_weights_hook import StudentWeightsHook

__all__ = ['ProgressLineHook', 'RecipeCheckHook', 'SecondEvaluationHook', 'StudentWeightsHook']
