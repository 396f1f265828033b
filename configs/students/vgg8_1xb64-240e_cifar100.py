_base_ = '../_base_/classification/cifar100.py'
model = dict(
    backbone=dict(type='mmrazor.CIFARVGG', depth=8),
    head=dict(in_channels=512))
