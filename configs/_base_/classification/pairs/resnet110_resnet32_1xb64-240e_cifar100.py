_base_ = [
    '../../../students/resnet32_1xb64-240e_cifar100.py',
    '../teachers/resnet110_cifar100.py',
    '../feature_points/resnet110.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
