_base_ = [
    '../_base_/classification/pairs/resnet110_resnet20_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/nst.py',
]
model = _base_.pop('method')
