_base_ = [
    '../_base_/classification/pairs/wrn-40-2_wrn-16-2_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/fsp.py',
]
model = _base_.pop('method')
default_hooks = _base_.pop('method_hooks')
