_base_ = [
    './tat_resnet56_resnet20_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/kd.py',
]
model = _base_.pop('method')
