_base_ = [
    '../_base_/pairs/deeplabv3_r101-d8_r18-d8_4xb4-40k_coco-stuff10k-512x512.py',
    '../_base_/methods/fitnet.py',
]
model = _base_.pop('method')
