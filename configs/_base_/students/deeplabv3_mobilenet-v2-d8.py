# What makes a DeepLabV3 ResNet-50 of mmseg a MobileNetV2 at output stride 8, as mmseg's own
# Cityscapes and ADE20K MobileNetV2.
_base_ = './mobilenet-v2.py'
student = dict(
    pretrained='mmcls://mobilenet_v2',
    backbone=dict(
        strides=(1, 2, 2, 1, 1, 1, 1),
        dilations=(1, 1, 1, 2, 2, 4, 4),
        **_base_.pop('mobilenet_v2')),
    decode_head=dict(in_channels=320),
    auxiliary_head=dict(in_channels=96))
