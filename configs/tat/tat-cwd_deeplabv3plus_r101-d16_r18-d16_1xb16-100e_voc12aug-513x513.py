_base_ = [
    './tat_deeplabv3plus_r101-d16_r18-d16_1xb16-100e_voc12aug-513x513.py',
    '../_base_/methods/cwd.py',
]
model = _base_.pop('method')
