# The released settings without KL: alpha = 0.1, epsilon = 0.2.
_base_ = './tat.py'
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),  # alpha
    distiller=dict(distill_losses=dict(loss_tat=dict(loss_weight=0.2))))  # epsilon
