_base_ = [
    './tat_deeplabv3plus_r101-d16_mobilenet-v2-d16_1xb12-100e_coco-stuff10k-513x513.py',
    '../_base_/methods/tat_released.py',
]
_base_.method.architecture.decode_head.loss_decode.loss_weight = 1 / 12  # the batch
model = _base_.pop('method')
