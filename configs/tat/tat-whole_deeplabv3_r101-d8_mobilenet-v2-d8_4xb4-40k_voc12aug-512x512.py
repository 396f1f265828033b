_base_ = './tat-patch_deeplabv3_r101-d8_mobilenet-v2-d8_4xb4-40k_voc12aug-512x512.py'
model = dict(
    distiller=dict(distill_losses=dict(loss_patch=dict(_delete_=True, type='TaTLoss', loss_weight=0.1))))
