_base_ = [
    '../_base_/classification/pairs/vgg13_vgg8_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/ickd.py',
]
model = _base_.pop('method')
