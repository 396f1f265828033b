_base_ = [
    '../_base_/pairs/deeplabv3plus_r101-d16_mobilenet-v2-d16_1xb12-100e_voc12aug-513x513.py',
    '../_base_/methods/ofd_deeplabv3plus.py',
]
model = _base_.pop('method')
