# Weights of the released settings with KL: alpha = beta = 0.5, temperature 1, epsilon = 0.1. What
# they have no scale for (tat_released.py) has tat.py's here.
_base_ = ['./tat.py', './kl_term_imagenet.py']
_base_.method.distiller.distill_losses.loss_tat.loss_weight = 0.1  # epsilon
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))),  # alpha
    distiller=_base_.pop('kl_term'))
