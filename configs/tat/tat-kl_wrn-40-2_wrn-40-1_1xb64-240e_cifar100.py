_base_ = [
    './tat_wrn-40-2_wrn-40-1_1xb64-240e_cifar100.py',
    '../_base_/classification/methods/kd.py',
]
model = _base_.pop('method')
