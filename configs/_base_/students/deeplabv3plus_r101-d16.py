_base_ = './deeplabv3plus_r18-d16.py'
student = dict(
    pretrained='open-mmlab://resnet101_v1c',
    backbone=dict(depth=101),
    decode_head=dict(in_channels=2048, c1_in_channels=256))
