_base_ = [
    '../../students/deeplabv3plus_mobilenet-v2-d16_1xb12-100e_voc12aug-513x513.py',
    '../teachers/deeplabv3plus_r101-d16_voc12aug.py',
    '../feature_points/deeplabv3plus_r101_mobilenet-v2.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
