# FitNet: the second stage, behind a 1x1 convolution with batch norm; the usual weight on CIFAR-100.
method = dict(
    distiller=dict(
        _scope_='mmrazor',
        type='SharedConnectorDistiller',
        connectors=dict(regressor=dict(type='TaTConnector', norm_cfg=dict(type='BN'))),
        distill_losses=dict(
            loss_fitnet=dict(
                type='L2Loss', normalize=False, div_element=True, loss_weight=100.0)),
        loss_forward_mappings=dict(
            loss_fitnet=dict(
                s_feature=dict(recorder='stage2', from_student=True, connector='regressor'),
                t_feature=dict(recorder='stage2', from_student=False)))))
