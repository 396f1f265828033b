# Correlation congruence between the images of the batch; kernel of the paper, the usual weight on
# CIFAR-100.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(loss_cc=dict(type='CCLoss', loss_weight=0.02)),
        loss_forward_mappings=dict(
            loss_cc=dict(
                s_feature=dict(recorder='embedding', from_student=True),
                t_feature=dict(recorder='embedding', from_student=False)))))
