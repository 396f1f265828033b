_base_ = './tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_coco-stuff10k-512x512.py'
_inputs = _base_.model.distiller.loss_forward_mappings.loss_patch
model = dict(
    distiller=dict(
        distill_losses=dict(_delete_=True, loss_whole=dict(type='TaTLoss', loss_weight=0.6)),
        loss_forward_mappings=dict(_delete_=True, loss_whole=_inputs)))
del _inputs
