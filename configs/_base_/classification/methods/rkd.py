# Relational knowledge distillation: distances and angles between images; the usual weights on
# CIFAR-100.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_rkd=dict(type='RKDLoss', distance_weight=25.0, angle_weight=50.0)),
        loss_forward_mappings=dict(
            loss_rkd=dict(
                s_feature=dict(recorder='embedding', from_student=True),
                t_feature=dict(recorder='embedding', from_student=False)))))
