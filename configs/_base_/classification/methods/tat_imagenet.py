# Weights of the released settings without KL: alpha = 0.1, epsilon = 0.2. What they have no scale
# for (tat_released.py) has tat.py's here.
_base_ = './tat.py'
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),  # alpha
    distiller=dict(distill_losses=dict(loss_tat=dict(loss_weight=0.2))))  # epsilon
