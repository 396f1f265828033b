_base_ = './deeplabv3plus_d16.py'
student = dict(
    pretrained='open-mmlab://resnet18_v1c',
    backbone=dict(depth=18, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    decode_head=dict(in_channels=512, c1_in_channels=64))
