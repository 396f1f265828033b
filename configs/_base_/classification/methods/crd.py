# Contrastive representation distillation; settings of the authors for CIFAR-100.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(
            loss_crd=dict(type='ContrastiveDistillLoss', num_samples=50000, loss_weight=0.8)),
        loss_forward_mappings=dict(
            loss_crd=dict(
                s_feature=dict(recorder='feature', from_student=True),
                t_feature=dict(recorder='feature', from_student=False),
                data_samples=dict(recorder='samples', from_student=True, data_idx=1)))))
