# The flow between stages for the first 30 epochs, with weight 1. The usual code on CIFAR-100 has it
# so too, but alone, before the 240 epochs of the labels; here these go on beside it.
_stages = ['stem', 'stage1', 'stage2', 'stage3']
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_fsp=dict(type='FSPLoss', loss_weight=1.0)),
        loss_forward_mappings=dict(
            loss_fsp=dict(
                s_features=dict(recorder=_stages, from_student=True),
                t_features=dict(recorder=_stages, from_student=False)))))
method_hooks = dict(
    loss_schedule=dict(
        type='mmrazor.LossScheduleHook',
        schedules=dict(loss_fsp=dict(stop=30 * 782))))  # batches of 64 in 50,000 images
del _stages
