# L = alpha * L_task + beta * L_KL + epsilon * L_TaT, with alpha and beta of kd.py.
_base_ = ['./tat.py', './kl_term.py']
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),  # alpha
    distiller=_base_.pop('kl_term'))
