_base_ = [
    '../_base_/pairs/deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py',
    '../_base_/methods/fitnet.py',
]
model = _base_.pop('method')
