# Overhaul: four stages of the backbone and the head, each before its ReLU, by MMRazor's partial L2
# loss. Weights of the authors' segmentation code: 1e-5 over 8, 4, 2, 1 (stages) and 1 (head); the
# loss divides by 1000 itself.
_weights = dict(stage1=0.01 / 8, stage2=0.01 / 4, stage3=0.01 / 2, stage4=0.01, feature=0.01)
method = dict(distiller=dict(
    _scope_='mmrazor',
    type='SharedConnectorDistiller',
    connectors={
        **{f'student_{k}': dict(type='TaTConnector', norm_cfg=dict(type='BN')) for k in _weights},
        **{f'teacher_{k}': dict(type='MarginReLUConnector') for k in _weights},
    },
    distill_losses={
        f'loss_{k}': dict(type='OFDLoss', loss_weight=weight) for k, weight in _weights.items()
    },
    loss_forward_mappings={
        f'loss_{k}': dict(
            s_feature=dict(recorder=k, from_student=True, connector=f'student_{k}'),
            t_feature=dict(recorder=k, from_student=False, connector=f'teacher_{k}'))
        for k in _weights
    }))
del _weights
