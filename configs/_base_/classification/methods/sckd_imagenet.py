# With temperature and weights of kd_imagenet.py.
_base_ = './sckd.py'
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.5))),
    distiller=dict(distill_losses=dict(loss_sckd=dict(tau=1.0, loss_weight=0.5))))
