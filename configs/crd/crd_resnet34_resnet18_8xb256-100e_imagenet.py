_base_ = [
    '../_base_/classification/pairs/resnet34_resnet18_8xb256-100e_imagenet.py',
    '../_base_/classification/methods/crd.py',
]
_base_.method.distiller.distill_losses.loss_crd.num_samples = 1281167
model = _base_.pop('method')
