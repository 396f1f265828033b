# Probabilistic knowledge transfer: which images are neighbours; the usual weight on CIFAR-100.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_pkt=dict(type='PKTLoss', loss_weight=30000.0)),
        loss_forward_mappings=dict(
            loss_pkt=dict(
                s_feature=dict(recorder='embedding', from_student=True),
                t_feature=dict(recorder='embedding', from_student=False)))))
