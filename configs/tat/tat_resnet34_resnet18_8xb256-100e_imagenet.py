_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/tat.py',
]
_base_.method.architecture.head.loss.loss_weight = 0.1  # alpha, as released
_base_.method.distiller.distill_losses.loss_tat.loss_weight = 0.2  # epsilon
model = _base_.pop('method')
