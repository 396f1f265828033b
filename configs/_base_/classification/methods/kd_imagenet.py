# As beside TaT on ImageNet: temperature 1, half on the labels and half on the teacher.
_base_ = './kd.py'
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))),
    distiller=dict(distill_losses=dict(loss_kl=dict(tau=1.0, loss_weight=0.5))))
