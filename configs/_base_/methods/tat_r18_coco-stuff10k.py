# Grid, groups, kernel and weights of the authors' settings for ResNet-18 on COCO-Stuff10k.
_base_ = './tat.py'
_base_.method.distiller.distill_losses.loss_tat.views = [
    dict(type='patch', grid=(32, 32), groups=512, weight=0.6),
    dict(type='anchor', kernel=4, weight=0.6)]
