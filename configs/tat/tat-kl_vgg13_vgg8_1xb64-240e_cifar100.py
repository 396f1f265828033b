_base_ = [
    './tat_vgg13_vgg8_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/kd.py',
]
model = _base_.pop('method')
