# Beside KD, as the paper's table on ImageNet has it, with the weights of kd_imagenet.py; those of
# RKD are the ones of torchdistill's sample for ImageNet, which has no KL (see configs/rkd).
_base_ = ['./rkd.py', './kl_term_imagenet.py']
_base_.method.distiller.distill_losses.loss_rkd.update(distance_weight=1.0, angle_weight=2.0)
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))), distiller=_base_.pop('kl_term'))
