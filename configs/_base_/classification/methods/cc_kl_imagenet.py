# Beside KD, as the paper's table on ImageNet has it; weights of kd_imagenet.py. CC's own, that of
# cc.py, hardly acts, and no known weight for ImageNet can be taken over (see configs/cc).
_base_ = ['./cc.py', './kl_term_imagenet.py']
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))), distiller=_base_.pop('kl_term'))
