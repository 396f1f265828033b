_base_ = '../_base_/classification/cifar100.py'
model = dict(
    backbone=dict(type='mmrazor.WideResNet', depth=16, widen_factor=2),
    head=dict(in_channels=128))
