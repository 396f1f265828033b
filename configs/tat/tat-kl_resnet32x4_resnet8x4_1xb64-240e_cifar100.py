_base_ = [
    './tat_resnet32x4_resnet8x4_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/kd.py',
]
model = _base_.pop('method')
