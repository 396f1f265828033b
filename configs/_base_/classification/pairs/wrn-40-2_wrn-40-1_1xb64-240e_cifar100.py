_base_ = [
    '../../../students/wrn-40-1_1xb64-240e_cifar100.py',
    '../teachers/wrn-40-2_cifar100.py',
    '../feature_points/wrn.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
