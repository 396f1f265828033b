_base_ = [
    '../_base_/pairs/deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py',
    '../_base_/methods/ickd.py',
]
model = _base_.pop('method')
