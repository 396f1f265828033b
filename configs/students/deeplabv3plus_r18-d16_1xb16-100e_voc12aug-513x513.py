_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/students/deeplabv3plus_r18-d16.py',
    '../_base_/protocols/paper_voc12aug.py',
]
_base_.student.decode_head.num_classes = 21
model = _base_.pop('student')
