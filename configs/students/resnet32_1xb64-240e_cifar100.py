_base_ = '../_base_/classification/cifar100.py'
model = dict(
    backbone=dict(type='mmrazor.CIFARResNet', depth=32),
    head=dict(in_channels=64))
