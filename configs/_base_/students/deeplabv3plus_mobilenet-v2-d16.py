_base_ = ['./deeplabv3plus_d16.py', './mobilenet-v2.py']
student = dict(
    pretrained='mmcls://mobilenet_v2',
    backbone=dict(
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        **_base_.pop('mobilenet_v2')),
    decode_head=dict(in_channels=320, c1_in_channels=24))
