_base_ = './tat_deeplabv3plus_r101-d16_r18-d16_1xb16-100e_coco-stuff10k-513x513.py'
_base_.model.distiller.distill_losses.loss_tat.views.pop(1)
