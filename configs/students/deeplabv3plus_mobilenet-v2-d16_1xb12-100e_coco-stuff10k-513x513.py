_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/students/deeplabv3plus_mobilenet-v2-d16.py',
    '../_base_/protocols/paper_coco-stuff10k.py',
]
_base_.student.decode_head.num_classes = 171
model = _base_.pop('student')
train_dataloader = dict(batch_size=12)
auto_scale_lr = dict(base_batch_size=12)
