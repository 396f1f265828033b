_base_ = [
    'mmseg::deeplabv3/deeplabv3_r50-d8_4xb4-40k_coco-stuff10k-512x512.py',
    '../_base_/students/deeplabv3_r18-d8.py',
    '../_base_/protocols/mmseg.py',
]
model = _base_.pop('student')
default_hooks = _base_.pop('guards')
