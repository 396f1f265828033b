# Grid, groups, kernel and weights of the authors' settings for MobileNetV2 on COCO-Stuff10k.
_base_ = './tat.py'
_base_.method.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(16, 16), groups=64, weight=0.4),
    dict(type='anchor', kernel=4, weight=0.4)]
