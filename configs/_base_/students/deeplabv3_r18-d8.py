# What makes a DeepLabV3 ResNet-50 of mmseg a ResNet-18: the widths of mmseg's Cityscapes R18.
student = dict(
    pretrained='open-mmlab://resnet18_v1c',
    backbone=dict(depth=18),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64))
