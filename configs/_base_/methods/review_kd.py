# Knowledge review over four stages of the backbone and the head, from shallow to deep.
_levels = ['stage1', 'stage2', 'stage3', 'stage4', 'feature']
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors=dict(fusion=dict(type='ReviewKDConnector', mid_channel=256)),
    distill_losses=dict(loss_review=dict(type='ReviewKDLoss', loss_weight=1.0)),
    loss_forward_mappings=dict(
        loss_review=dict(
            s_features=dict(recorder=_levels, from_student=True, connector='fusion'),
            t_features=dict(recorder=_levels, from_student=False)))))
del _levels
