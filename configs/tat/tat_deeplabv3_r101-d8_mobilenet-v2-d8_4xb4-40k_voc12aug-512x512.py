_base_ = [
    '../deeplabv3/deeplabv3_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py',
    '../_base_/teachers/deeplabv3_r101-d8_voc12aug.py',
    '../_base_/distillers/tat.py',
]
_base_.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(32, 32), groups=1024, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.05)]
model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    distiller=_base_.pop('distiller'),
    **_base_.pop('teacher'))
