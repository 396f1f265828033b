_base_ = [
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_voc12aug-512x512.py',
    '../_base_/students/deeplabv3plus_mobilenet-v2-d8.py',
    '../_base_/protocols/mmseg.py',
]
model = _base_.pop('student')
default_hooks = _base_.pop('guards')
