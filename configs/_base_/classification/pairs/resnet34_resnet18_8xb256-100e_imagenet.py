_base_ = [
    '../../../students/resnet18_8xb256-100e_imagenet.py',
    '../teachers/resnet34_imagenet.py',
    '../feature_points/resnet_imagenet.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
