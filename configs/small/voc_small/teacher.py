# A MobileNetV2 from ImageNet weights.
_base_ = [
    'mmseg::_base_/models/deeplabv3_r50-d8.py',
    '../../_base_/students/deeplabv3_mobilenet-v2-d8.py',
    '../../_base_/protocols/voc_small.py',
]
data_preprocessor = dict(size=_base_.crop_size)
_base_.student.update(data_preprocessor=data_preprocessor, auxiliary_head=None)
_base_.student.decode_head.update(channels=256, dilations=(1, 3, 6, 9), num_classes=7)
model = _base_.pop('student')
