# L = alpha * L_task + epsilon * L_TaT on the last map. As in the released ImageNet settings gamma
# and phi are 3x3 convolutions with batch norm, theta is the identity. The weights are ours: the
# paper names none for CIFAR-100.
method = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=1.0))),  # alpha
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        distill_losses=dict(
            loss_tat=dict(
                type='HierarchicalTaTLoss',
                softmax_over='teacher',
                scale='auto',
                views=[dict(type='whole')],
                projections=('gamma', 'phi'),
                kernel_size=3,
                norm_cfg=dict(type='BN'),
                loss_weight=1.0)),  # epsilon
        loss_forward_mappings=dict(
            loss_tat=dict(
                s_feature=dict(recorder='feature', from_student=True),
                t_feature=dict(recorder='feature', from_student=False)))))
