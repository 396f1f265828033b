_base_ = [
    '../_base_/classification/pairs/resnet56_resnet20_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/review_kd.py',
]
model = _base_.pop('method')
