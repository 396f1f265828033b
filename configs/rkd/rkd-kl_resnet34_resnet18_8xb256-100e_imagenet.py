_base_ = [
    '../kd/kd_resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/rkd.py',
]
_base_.method.distiller.distill_losses.loss_rkd.update(distance_weight=1.0, angle_weight=2.0)
model = _base_.pop('method')
