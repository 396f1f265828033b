_base_ = './tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py'
_base_.model.distiller.distill_losses.pop('loss_anchor')
_base_.model.distiller.loss_forward_mappings.pop('loss_anchor')
