_base_ = [
    '../../students/deeplabv3_r18-d8_4xb4-40k_voc12aug-512x512.py',
    '../teachers/deeplabv3_r101-d8_voc12aug.py',
    '../feature_points/deeplabv3_r101_r18.py',
]
model = dict(
    architecture=_base_.pop('model'), distiller=_base_.pop('distiller'), **_base_.pop('teacher'))
default_hooks = _base_.pop('teacher_hooks')
