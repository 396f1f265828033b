# Attention transfer over the stages, by MMRazor's loss; the weight of the authors' code.
_stages = ('stage1', 'stage2', 'stage3')
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses={
            f'loss_{k}': dict(type='ATLoss', loss_weight=1000.0) for k in _stages
        },
        loss_forward_mappings={
            f'loss_{k}': dict(
                s_feature=dict(recorder=k, from_student=True),
                t_feature=dict(recorder=k, from_student=False))
            for k in _stages
        }))
del _stages
