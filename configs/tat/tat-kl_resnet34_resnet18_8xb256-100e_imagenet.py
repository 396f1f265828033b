_base_ = [
    './tat_resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/kd.py',
]
_base_.method.architecture.head.loss.loss_weight = 0.5  # alpha, as released
_base_.method.distiller.distill_losses.loss_kl.update(tau=1.0, loss_weight=0.5)  # beta
_base_.method.distiller.distill_losses.loss_tat = dict(loss_weight=0.1)  # epsilon
model = _base_.pop('method')
