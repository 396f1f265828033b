# Attention transfer, by MMRazor's loss; the weight of the authors' code. In TaT's released
# comparison it weighs about 26,600 against the labels.
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    distill_losses=dict(loss_at=dict(type='ATLoss', loss_weight=1000.0)),
    loss_forward_mappings=dict(
        loss_at=dict(
            s_feature=dict(recorder='feature', from_student=True),
            t_feature=dict(recorder='feature', from_student=False)))))
