_base_ = './tat_deeplabv3plus_r101-d8_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py'
_base_.model.distiller.distill_losses.loss_tat.views = [dict(type='whole', weight=0.1)]
