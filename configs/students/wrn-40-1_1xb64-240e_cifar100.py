_base_ = '../_base_/classification/cifar100.py'
model = dict(
    backbone=dict(type='mmrazor.WideResNet', depth=40, widen_factor=1),
    head=dict(in_channels=64))
