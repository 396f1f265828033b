_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/sckd.py',
]
_base_.method.architecture.head.loss.loss_weight = 0.5
_base_.method.distiller.distill_losses.loss_sckd.update(tau=1.0, loss_weight=0.5)
model = _base_.pop('method')
