_base_ = [
    'mmseg::_base_/models/deeplabv3_r50-d8.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/datasets/toy_voc.py',
    '../../_base_/schedules/demo.py',
    '../../_base_/runtime.py',
]
default_hooks = _base_.pop('guards')
data_preprocessor = dict(size=_base_.crop_size)
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(depth=18, base_channels=8, stem_channels=8, strides=(1, 1, 1, 1)),
    decode_head=dict(in_channels=64, channels=32, dilations=(1, 2, 4), num_classes=7),
    auxiliary_head=None)
