_base_ = [
    '../../../students/vgg8_1xb64-240e_cifar100.py',
    '../teachers/vgg13_cifar100.py',
    '../feature_points/vgg.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
