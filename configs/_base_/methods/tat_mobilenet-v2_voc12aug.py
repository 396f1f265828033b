# Grid, groups, kernel and weights of the authors' settings for MobileNetV2 on VOC.
_base_ = './tat.py'
_base_.method.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(32, 32), groups=1024, weight=0.1),
    dict(type='anchor', kernel=2, weight=0.05)]
