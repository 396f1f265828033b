# The flow between stages, for the first 30 epochs, as long as the usual code gives it on CIFAR-100
# (there it is alone first, here the labels are beside it), and with its weight.
_stages = ['stem', 'stage1', 'stage2', 'stage3']
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_fsp=dict(type='FSPLoss', loss_weight=50.0)),
        loss_forward_mappings=dict(
            loss_fsp=dict(
                s_features=dict(recorder=_stages, from_student=True),
                t_features=dict(recorder=_stages, from_student=False)))))
method_hooks = dict(
    loss_schedule=dict(
        type='mmrazor.LossScheduleHook', schedules=dict(loss_fsp=dict(stop=30 * 782))))
del _stages
