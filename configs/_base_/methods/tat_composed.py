# The same as tat.py, spelled out: three connectors and one loss for each view, in the reference
# that the lean operator is tested against. The one to build variants from (other connectors, a loss
# of your own); slower, and its memory grows with the batch.
_student = dict(recorder='feature', from_student=True)
_teacher = dict(recorder='feature', from_student=False)
_inputs = dict(
    s_key=dict(connector='gamma', **_student),
    s_value=dict(connector='phi', **_student),
    t_query=dict(connector='theta', **_teacher),
    t_feature=_teacher)

method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors=dict(
        gamma=dict(type='TaTConnector'),
        phi=dict(type='TaTConnector'),
        theta=dict(type='TaTConnector')),
    distill_losses=dict(
        loss_patch=dict(type='PatchGroupTaTLoss', grid=(16, 16), groups=64, loss_weight=1.0),
        loss_anchor=dict(type='AnchorPointTaTLoss', kernel=4, loss_weight=0.4)),
    loss_forward_mappings=dict(loss_patch=_inputs, loss_anchor=_inputs)))
del _student, _teacher, _inputs
