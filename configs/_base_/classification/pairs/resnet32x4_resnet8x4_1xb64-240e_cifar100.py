_base_ = [
    '../../../students/resnet8x4_1xb64-240e_cifar100.py',
    '../teachers/resnet32x4_cifar100.py',
    '../feature_points/resnet32x4.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
