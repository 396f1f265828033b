_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py',
    '../_base_/students/deeplabv3plus_r101-d16.py',
    '../_base_/protocols/paper_coco-stuff10k.py',
]
_base_.student.decode_head.num_classes = 171
model = _base_.pop('student')
optim_wrapper = dict(optimizer=dict(lr=0.004))
param_scheduler = [
    dict(
        type='PolyLR', power=0.9, eta_min=0., end=200, by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=200)
