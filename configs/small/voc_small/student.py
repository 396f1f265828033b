# A ResNet-18 of a quarter of the width, from random weights.
_base_ = ['mmseg::_base_/models/deeplabv3_r50-d8.py', '../../_base_/protocols/voc_small.py']
data_preprocessor = dict(size=_base_.crop_size)
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(in_channels=128, channels=64, dilations=(1, 3, 6, 9), num_classes=7),
    auxiliary_head=None)
