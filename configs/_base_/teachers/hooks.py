# The teacher is tried on 100 validation images before the first iteration, and evaluated beside the
# student in the first validation.
teacher_hooks = dict(
    teacher_check=dict(type='mmrazor.TeacherCheckHook', num_images=100),
    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'))
