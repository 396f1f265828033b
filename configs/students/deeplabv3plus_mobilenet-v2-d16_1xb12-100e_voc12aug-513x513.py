_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/students/deeplabv3plus_mobilenet-v2-d16.py',
    '../_base_/protocols/paper_voc12aug.py',
]
_base_.student.decode_head.num_classes = 21
model = _base_.pop('student')
optim_wrapper = dict(optimizer=dict(lr=0.004))
train_dataloader = dict(batch_size=12)
auto_scale_lr = dict(base_batch_size=12)
