_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/ickd.py',
]
_base_.method.distiller.distill_losses.loss_ickd.loss_weight = 500 / 256
model = _base_.pop('method')
