_base_ = './tat_deeplabv3plus_r101-d16_mobilenet-v2-d16_1xb12-100e_coco-stuff10k-513x513.py'
_base_.model.distiller.distill_losses.loss_tat.views = [dict(type='whole', weight=0.4)]
