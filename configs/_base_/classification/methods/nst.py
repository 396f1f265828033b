# Neuron selectivity transfer over the stages; the usual weight on CIFAR-100.
_stages = ('stage1', 'stage2', 'stage3')
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses={
            f'loss_{k}': dict(type='NSTLoss', loss_weight=50.0) for k in _stages
        },
        loss_forward_mappings={
            f'loss_{k}': dict(
                s_feature=dict(recorder=k, from_student=True),
                t_feature=dict(recorder=k, from_student=False))
            for k in _stages
        }))
del _stages
