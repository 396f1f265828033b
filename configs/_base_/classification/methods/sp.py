# Similarity-preserving: which images of the batch are alike; the authors' weight.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_sp=dict(type='SPLoss', loss_weight=3000.0)),
        loss_forward_mappings=dict(
            loss_sp=dict(
                s_feature=dict(recorder='feature', from_student=True),
                t_feature=dict(recorder='feature', from_student=False)))))
