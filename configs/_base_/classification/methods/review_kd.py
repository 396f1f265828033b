# Knowledge review over the stages, from shallow to deep. As in the authors' code for CIFAR-100 the
# student's maps are the results of its stages, the teacher's those before the last ReLU, and the
# fused maps have the width of the student's deepest one.
_levels = ['stage1', 'stage2', 'stage3']
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        connectors=dict(fusion=dict(type='ReviewKDConnector', mid_channel=None)),
        distill_losses=dict(loss_review=dict(type='ReviewKDLoss', loss_weight=1.0)),
        loss_forward_mappings=dict(
            loss_review=dict(
                s_features=dict(recorder=_levels, from_student=True, connector='fusion'),
                t_features=dict(recorder=[f'{k}_pre' for k in _levels], from_student=False)))))
del _levels
