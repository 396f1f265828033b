# The released settings: alpha = beta = 0.5, temperature 1, epsilon = 0.1.
_base_ = ['./tat_imagenet.py', './kl_term_imagenet.py']
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))),  # alpha
    distiller=_base_.pop('kl_term'))
