# No CIFAR-100 weights with these parameter names are published: train the teacher first
# (configs/teachers) and name its checkpoint, by --cfg-options model.teacher_ckpt=PATH.
teacher = dict(
    _scope_='mmrazor', type='FrozenTeacherDistill', teacher_ckpt=None, probe_size=(32, 32))
teacher_hooks = dict(
    teacher_check=dict(
        type='mmrazor.TeacherCheckHook', num_images=1000, metric='accuracy/top1', floor=35),
    teacher_evaluation=dict(type='mmrazor.TeacherEvaluationHook'))
