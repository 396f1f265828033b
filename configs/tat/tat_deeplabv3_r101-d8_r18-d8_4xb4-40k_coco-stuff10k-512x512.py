_base_ = [
    '../deeplabv3/deeplabv3_r18-d8_4xb4-40k_coco-stuff10k-512x512.py',
    '../_base_/teachers/deeplabv3_r101-d8_coco-stuff10k.py',
    '../_base_/distillers/tat.py',
]
_base_.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(32, 32), groups=512, weight=0.6),
    dict(type='anchor', kernel=4, weight=0.6)]
model = dict(
    _scope_='mmrazor',
    type='FrozenTeacherDistill',
    architecture=_base_.pop('model'),
    distiller=_base_.pop('distiller'),
    **_base_.pop('teacher'))
